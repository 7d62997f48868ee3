"""The store as it grows: does taking in cost more when there is much already?"""

import tempfile
from pathlib import Path
from typing import Any

from earshot.engine.bench.child import child
from earshot.engine.bench.profile import write


def measure_store(  # noqa: PLR0913 - one measurement, its sizes
    posts: int,
    *,
    rules: int = 0,
    step: int = 200_000,
    seed: int = 7,
    home: Path | None = None,
    profile: Path | None = None,
) -> dict[str, Any]:
    """Let a store grow to `posts` records, round by round, each taken in by a fresh process.

    Args:
        posts: Records in the end.
        rules: How many are matched.
        step: Records a round.
        seed: Of the world; each round goes on where the last one ended.
        home: Keep the store there; None: it is thrown away.
        profile: Folder for where the time of the last round goes.

    Returns:
        `rounds` with rate and commit time by posts stored; `rate_ratio` and `commit_ratio`, the
        last round against the first; `bytes_per_post` of the whole.
    """
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as name:
        folder = Path(name)
        samples = profile / "store.raw" if profile else None
        place = home or folder / "home"
        rounds = grow(folder, place, posts, rules=rules, step=step, seed=seed, samples=samples)
    first, last = rounds[0], rounds[-1]
    new = sum(r["new"] for r in rounds)
    figures: dict[str, Any] = {
        "records": posts,
        "stored": last["stored"],
        "rounds": rounds,
        "commit_us_at_start": first["commit_us"],
        "commit_us_at_end": last["commit_us"],
        "commit_ratio": round(last["commit_us"] / max(1e-9, first["commit_us"]), 3),
        "rate_at_start": first["posts_per_second"],
        "rate_at_end": last["posts_per_second"],
        "rate_ratio": round(last["posts_per_second"] / max(1e-9, first["posts_per_second"]), 3),
        "bytes_per_post": round(sum(r["bytes_per_post"] * r["new"] for r in rounds) / new, 1),
    }
    if profile and samples:
        write(samples, profile / "store.txt")
        figures["profile"] = str(profile / "store.txt")
    return figures


def grow(  # noqa: PLR0913 - one growth, its sizes
    folder: Path,
    home: Path,
    posts: int,
    *,
    rules: int,
    step: int,
    seed: int,
    samples: Path | None = None,
) -> list[dict[str, Any]]:
    """Take so many records into a home, `step` of them a fresh process; returns the rounds."""
    rounds: list[dict[str, Any]] = []
    begin, done = None, 0
    while done < posts:
        made = child("make", folder, posts=min(step, posts - done), seed=seed, begin=begin)
        if not rounds:
            child("rules", folder, rules=rules, seed=seed)
        last = samples if done + step >= posts else None
        name = f"bench-{begin or 0}"
        ran = child("run", folder, home=str(home.resolve()), connection=name, samples=last)
        begin, done = made["ends"], done + made["records"]
        rounds.append(_round(ran))
    return rounds


def _round(ran: dict[str, Any]) -> dict[str, Any]:
    """What is kept of one round."""
    return {
        "stored": ran["stored"],
        "new": max(1, ran["classes"]["unique"] + ran["classes"].get("embedded_new", 0)),
        "posts_per_second": ran["posts_per_second"],
        "commit_us": ran["stages"].get("store", 0.0),
        "bytes_per_post": ran["bytes_per_post"],
        "rss_mb": ran["rss_mb"],
    }
