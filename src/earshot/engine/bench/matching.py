"""Rules alone, on one core; then what many rules cost the whole pipeline."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from earshot.engine.bench.child import child
from earshot.engine.bench.profile import write
from earshot.engine.bench.world import WORLD, prepared_batches, read_rules, spread, versions
from earshot.rules import compile_rules, match
from earshot.settings import Settings

PASSES: Final = 3
ONE_CORE: Final = {"POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def measure_rules(  # noqa: PLR0913 - one measurement, its sizes
    counts: Sequence[int],
    *,
    sample: int = 40_000,
    posts: int = 100_000,
    peer_s: float = 5.0,
    seed: int = 7,
    profile: Path | None = None,
) -> dict[str, Any]:
    """Measure matching for each number of rules, and the pipeline with the last two of them.

    Args:
        counts: Numbers of rules, growing.
        sample: Records that are matched.
        posts: Records that the pipeline takes in; 0: it is left out.
        peer_s: Seconds for regular expressions tried one after the other; 0: they are left out.
        seed: Of the world and the rules.
        profile: Folder for where the time goes.
    """
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as name:
        folder = Path(name)
        child("make", folder, posts=max(sample, posts), seed=seed)
        for n in counts:
            file = f"rules-{n}.json"
            child("rules", folder, rules=n, seed=seed, name=file)
            samples = profile / f"rules-{n}.raw" if profile else None
            ran = child(
                "match", folder, rules=file, sample=sample, samples=samples, environment=ONE_CORE
            )
            if peer_s:
                ran["peer"] = child("peer", folder, seconds=peer_s, rules=file, match_only=True)
                ran["peer_ratio"] = _ratio(ran, ran["peer"])
            if profile and samples:
                write(samples, profile / f"rules-{n}.txt")
            found[str(n)] = ran
        figures: dict[str, Any] = {
            "rules": found,
            "hits_per_post": {n: ran["hits_per_post"] for n, ran in found.items()},
        }
        if posts:
            figures["pipeline"] = _pipeline(folder, counts[-2:])
    if profile:
        figures["profile"] = str(profile)
    return figures


def _ratio(ours: dict[str, Any], theirs: dict[str, Any]) -> float | None:
    slow = theirs["posts_per_second"]
    return round(ours["posts_per_second"] / slow, 1) if slow else None


def _pipeline(folder: Path, counts: Sequence[int]) -> dict[str, Any]:
    """The rate of the whole pipeline with these numbers of rules, and what the last one loses."""
    rates: dict[str, Any] = {}
    used: dict[str, Any] = {}
    hits: dict[str, Any] = {}
    for n in map(str, counts):
        ran = child("run", folder, rules=f"rules-{n}.json", home=f"home-{n}")
        rates[n], hits[n] = ran["posts_per_second"], ran["hits_per_post"]
        used[n] = round(ran["cpu_seconds"] / ran["posts"] * 1e6, 1)
    few, many = rates[str(counts[0])], rates[str(counts[-1])]
    return {
        "posts_per_second": rates,
        "cpu_us_per_post": used,
        "hits_per_post": hits,
        "loss_percent": round(100 * (1 - many / few), 1) if few else None,
    }


def run(folder: Path, *, rules: str, sample: int) -> dict[str, Any]:
    """Match posts that are decoded and cut into tokens; runs in the measured process.

    Time is CPU time of this process, of the best of `PASSES` passes, in batches as the engine's.
    """
    texts = read_rules(folder / rules)
    every = versions(texts)
    began = time.process_time()
    compiled = compile_rules(every)
    compiling = time.process_time() - began
    more = versions([*texts, '"one more" rule'])
    began = time.process_time()
    compile_rules(more)
    adding = time.process_time() - began
    size = Settings(home=folder).batch
    posts = list(prepared_batches(folder / WORLD, sample, size))
    height = sum(p.posts.height for p in posts)
    match(compiled, posts[0].posts, posts[0].tokens)  # the kernels are loaded
    passes = []
    for _ in range(PASSES):
        began = time.process_time()
        hits = [match(compiled, p.posts, p.tokens) for p in posts]
        passes.append(time.process_time() - began)
    per_post = [
        np.bincount(h["post"].to_numpy(), minlength=p.posts.height)
        for h, p in zip(hits, posts, strict=True)
    ]
    return {
        "posts_per_second": round(height / min(passes), 1),
        "us_per_post": round(min(passes) / height * 1e6, 3),
        "posts": height,
        "rules": len(texts),
        "hits_per_post": spread(np.concatenate(per_post)),
        "compile_seconds": round(compiling, 3),
        "add_one_seconds": round(adding, 3),
    }
