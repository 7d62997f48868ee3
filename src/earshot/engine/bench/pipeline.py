"""The whole embedded pipeline: log, rules, windows, every post stored and searchable."""

import tempfile
from pathlib import Path
from typing import Any, Final

import polars as pl
import psutil

from earshot.clock import SystemClock
from earshot.engine.bench.child import Memory, child
from earshot.engine.bench.profile import write
from earshot.engine.bench.world import RULES, WORLD, Canned, read_rules
from earshot.engine.home import Rooms, open_rooms
from earshot.engine.replay import take_in
from earshot.model.index import Span
from earshot.settings import Keep, Settings

PLENTY: Final = Keep(gigabytes=100_000, log_gigabytes=100_000)
"""Nothing is removed while it is measured."""


def measure_pipeline(
    posts: int, rules: int, *, seed: int = 7, peer_s: float = 5.0, profile: Path | None = None
) -> dict[str, Any]:
    """Make a world and rules, measure a fresh process that takes it in, then the peers' way.

    Args:
        posts: Records of the world.
        rules: How many are matched.
        seed: Of the world and the rules.
        peer_s: Seconds that the peers' way is given; 0: it is left out.
        profile: Folder for where the time goes.
    """
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as name:
        folder = Path(name)
        world = child("make", folder, posts=posts, seed=seed)
        drawn = child("rules", folder, rules=rules, seed=seed)
        samples = profile / "pipeline.raw" if profile else None
        figures = child("run", folder, samples=samples)
        del world["ends"]
        figures["world"] = world
        figures["hits_per_post"] = {**drawn["hits_per_post"], "mean": figures["hits_per_post"]}
        if peer_s:
            figures["peer"] = child("peer", folder, seconds=peer_s)
            figures["peer_ratio"] = ratio(figures, figures["peer"])
    if profile and samples:
        write(samples, profile / "pipeline.txt")
        figures["profile"] = str(profile / "pipeline.txt")
    return figures


def ratio(ours: dict[str, Any], theirs: dict[str, Any]) -> float | None:
    """How many times as many posts a second."""
    slow = theirs["posts_per_second"]
    return round(ours["posts_per_second"] / slow, 1) if slow else None


def run(
    folder: Path, *, rules: str = RULES, home: str = "home", connection: str = "bench"
) -> dict[str, Any]:
    """Take a world in, whole, and say how it went; runs in the measured process.

    Args:
        folder: Where world and rules lie.
        rules: File of the expressions; they are added where the home has none.
        home: Folder in `folder`, or anywhere; what it holds stays, and grows.
        connection: Name under which the records are taken in.
    """
    settings, clock = Settings(home=folder / home, keep=PLENTY), SystemClock()
    with open_rooms(settings, clock, writable=False) as rooms:
        add_rules(rooms, folder / rules)
        before, size_before = _hits(rooms), rooms.store.size()
        stored_before = rooms.store.count(None, Span())
    memory = Memory()
    began, cpu = clock.monotonic(), psutil.Process().cpu_times()
    with memory:
        done = take_in(settings, clock, Canned(folder / WORLD), connection)
    settled, used = clock.monotonic() - began, psutil.Process().cpu_times()
    with open_rooms(settings, clock, writable=False) as rooms:
        stored, hits = rooms.store.count(None, Span()), _hits(rooms) - before
        size = rooms.store.size()
        count = len(rooms.control.rules())
    flat = done.flat()
    posts = max(1, int(flat["unique"]) + int(flat["duplicate"]))
    return {
        "posts_per_second": flat["posts_per_second"],
        "records_per_second": round(flat["consumed"] / done.seconds, 1),
        "posts": posts,
        "consumed": flat["consumed"],
        "stored": stored,
        "seconds": flat["seconds"],
        "settled_seconds": round(settled, 3),
        "cpu_seconds": round(used.user + used.system - cpu.user - cpu.system, 3),
        "rules": count,
        "hits_per_post": round(hits / posts, 3),
        "stages": {name: round(us / posts, 3) for name, us in done.stage_us.items()},
        "rss_mb": round(memory.peak / 1e6, 1),
        "bytes_per_post": round((size - size_before) / max(1, stored - stored_before), 1),
        "cores": psutil.cpu_count(),
        "batch": settings.batch,
        "classes": {k: v for k, v in flat.items() if isinstance(v, int)},
    }


def add_rules(rooms: Rooms, path: Path) -> None:
    """Add the expressions of a file, if there are no rules yet."""
    if rooms.control.rules() or not path.exists():
        return
    named = {f"rule {n}": text for n, text in enumerate(read_rules(path))}
    rooms.control.add_rules(named, active_from=rooms.clock.now(), actor="bench")


def _hits(rooms: Rooms) -> int:
    counts = rooms.store.counts()
    return int(counts.filter((pl.col("rule") != 0) & (pl.col("name") == "matched"))["n"].sum())
