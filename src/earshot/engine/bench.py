"""Measures the whole embedded pipeline on the demo world; what is measured runs in its own process.

Definitions (posts a second, memory): docs/benchmarks.md.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
import psutil

from earshot.clock import SystemClock
from earshot.engine.home import open_rooms
from earshot.engine.replay import take_in
from earshot.model.index import Span
from earshot.model.tokens import terms
from earshot.settings import Settings
from earshot.sources import RECORDS, Capabilities, Chunk, open_source

WORLD: Final = "world.arrow"
RULES: Final = "rules.json"
CHUNK: Final = 4096
MEMORY_EVERY_S: Final = 2.0
"""Asking for the proportional set size costs time itself."""
_ALL: Final = Span()
LANGS: Final = ("en", "es", "ja", "pt")


class Canned:
    """A source that hands over records made before, as fast as they are taken."""

    name = "demo"
    capabilities = Capabilities(live=False, resumable=False)

    def __init__(self, records: pl.DataFrame) -> None:
        self._records = records

    async def stream(self, cursor: str | None) -> AsyncGenerator[Chunk, None]:
        """See `Source.stream`."""
        del cursor
        unstamped = self._records.with_columns(received_at=pl.lit(None, RECORDS["received_at"]))
        for frame in unstamped.iter_slices(CHUNK):
            yield Chunk(frame=frame)


def measure_pipeline(posts: int, rules: int, *, seed: int = 7) -> dict[str, Any]:
    """Make a world and rules, then measure a fresh process that takes it in; returns the figures.

    Args:
        posts: About how many posts (creates) the world has.
        rules: How many rules are matched.
        seed: Of the world and the rules.
    """
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as folder:
        _child("make", folder, str(posts), str(rules), str(seed))
        figures: dict[str, Any] = msgspec.json.decode(_child("run", folder).splitlines()[-1])
    return figures


def _child(*arguments: str) -> bytes:
    command = [sys.executable, "-m", "earshot.engine.bench", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603


# -- in a process of its own: the world and the rules ------------------------------------------
def make(folder: Path, posts: int, rules: int, seed: int) -> None:
    """Write the world's records and the rules' expressions."""
    records = asyncio.run(_world(posts, seed))
    records.write_ipc(folder / WORLD)
    words = _words(records)
    text = rule_texts(rules, words, seed=seed)
    (folder / RULES).write_bytes(msgspec.json.encode(text))


async def _world(posts: int, seed: int) -> pl.DataFrame:
    url = f"demo:?seed={seed}&limit={posts}&speed=max"
    source, clock = open_source(url, clock=SystemClock()), SystemClock()
    chunks = [c.records("bench", clock.now()) async for c in source.stream(None)]
    return pl.concat([c for c in chunks if c.height], rechunk=True)


def _words(records: pl.DataFrame) -> list[str]:
    """Words of the world by falling frequency, from a sample of its raw texts."""
    sample = records["raw"].sample(min(20_000, records.height), seed=1)
    texts = sample.cast(pl.String, strict=False).str.extract(r'"text":"([^"]{4,})"').drop_nulls()
    counted = Counter(
        word
        for text in texts.head(5_000)
        for word in set(terms(text))
        if len(word) > 2 and word[0] not in "#@$" and word.isalpha()
    )
    return [word for word, _ in counted.most_common()]


def rule_texts(n: int, words: Sequence[str], *, seed: int) -> list[str]:
    """`n` expressions of the shapes that people write, mostly of rarer words.

    A quarter single terms, then pairs, groups, alternatives, negations and languages, as the
    prototype's (hotpath.md); careless rules of common words would hit every post.
    """
    draw = random.Random(seed)  # noqa: S311 - no secret, but the same each time
    rare = words[len(words) // 4 :] or words

    def atom() -> str:
        word = draw.choice(rare)
        shape = draw.random()
        if shape < 0.75:
            return word
        if shape < 0.85:
            return f'"{draw.choice(words)} {word}"'
        if shape < 0.95:
            return f"#{word}"
        return f"{word[: max(4, len(word) - 2)]}*"

    def expression() -> str:
        shape = draw.random()
        if shape < 0.25:
            return atom()
        if shape < 0.5:
            return f"{atom()} {draw.choice(words)}"
        if shape < 0.7:
            return f"{atom()} ({' OR '.join(draw.choice(words) for _ in range(3))})"
        if shape < 0.85:
            return " OR ".join(atom() for _ in range(draw.randint(2, 4)))
        either = " OR ".join(atom() for _ in range(3))
        return f"({either}) -({atom()} OR {atom()}) lang:{draw.choice(LANGS)}"

    return [expression() for _ in range(n)]


# -- in a process of its own: what is measured -------------------------------------------------
def run(folder: Path) -> dict[str, Any]:
    """Take the world in, whole, and say how it went."""
    settings, clock = Settings(home=folder / "home"), SystemClock()
    records = pl.read_ipc(folder / WORLD)
    texts = msgspec.json.decode((folder / RULES).read_bytes(), type=list[str])
    with open_rooms(settings, clock, writable=False) as rooms:
        for i, text in enumerate(texts):
            rooms.control.add_rule(f"rule {i}", text, active_from=clock.now(), actor="bench")
    memory = _Memory()
    with memory:
        done = take_in(settings, clock, Canned(records), "bench")
    with open_rooms(settings, clock, writable=False) as rooms:
        stored = rooms.store.count(None, _ALL)
        hits = rooms.store.counts().filter((pl.col("rule") != 0) & (pl.col("name") == "matched"))
        size = rooms.store.size()
    flat = done.flat()
    posts = max(1, int(flat["unique"]) + int(flat["duplicate"]))
    return {
        "posts_per_second": flat["posts_per_second"],
        "records_per_second": round(flat["consumed"] / done.seconds, 1),
        "posts": posts,
        "consumed": flat["consumed"],
        "stored": stored,
        "seconds": flat["seconds"],
        "rules": len(texts),
        "hits_per_post": round(int(hits["n"].sum()) / posts, 3),
        "stages": {name: round(us / posts, 3) for name, us in done.stage_us.items()},
        "rss_mb": round(memory.peak / 1e6, 1),
        "bytes_per_post": round(size / max(1, stored), 1),
        "cores": psutil.cpu_count(),
        "classes": {k: v for k, v in flat.items() if isinstance(v, int)},
    }


class _Memory:
    """The greatest proportional set size of this process while it is entered."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            info = process.memory_full_info()
            self.peak = max(self.peak, getattr(info, "pss", info.rss))
            if self._stop.wait(MEMORY_EVERY_S):
                return


def main(arguments: Sequence[str]) -> None:
    """`make FOLDER POSTS RULES SEED` or `run FOLDER`."""
    verb, folder, *rest = arguments
    if verb == "make":
        make(Path(folder), *(int(n) for n in rest))
    else:
        sys.stdout.write(msgspec.json.encode(run(Path(folder))).decode() + "\n")


def shown(figures: Mapping[str, Any]) -> pl.DataFrame:
    """Stages as a table, dearest first."""
    stages = sorted(figures["stages"].items(), key=lambda s: -s[1])
    return pl.DataFrame(stages, schema=["stage", "µs a post"], orient="row")


if __name__ == "__main__":
    main(sys.argv[1:])
