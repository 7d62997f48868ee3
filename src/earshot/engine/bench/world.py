"""What is measured with: a demo world in a file, and rules that hit it as often as they should.

All of it is made in a process of its own, and read batch by batch: neither the making nor the
memory of the world counts.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from earshot.clock import SystemClock, from_micros
from earshot.engine.bench.rule_texts import coined, rule_texts
from earshot.model.rule import RuleVersion
from earshot.model.tokens import terms
from earshot.pipeline import flow
from earshot.rules import compile_rules, match
from earshot.sources import RECORDS, Capabilities, Chunk, open_source
from earshot.sources.demo import Cursor, Demo

WORLD: Final = "world.arrow"
RULES: Final = "rules.json"
SAMPLE: Final = 20_000
"""Records from which words are taken, and on which hits a post are counted."""
HITS: Final = 2.2
"""Hits a post that rules are chosen for; median and 99th percentile are stated with each result."""
KNOWN: Final = 1000
"""So many rules are of the world's own words alone."""
MORE_HITS: Final = 0.8
"""Hits a post that all further rules add."""
NAMES: Final = 4
"""Coined names for each word of the world, in further rules."""
DRAWN: Final = 2
"""So many times the rules are drawn; the commonest are left out, where they hit too much."""
LONG_AGO: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


class Canned:
    """A source that hands over records of a file, as fast as they are taken.

    `start` and `count` choose records; `live` says whether the source is one that never ends.
    """

    name = "demo"

    def __init__(
        self, path: Path, *, start: int = 0, count: int | None = None, live: bool = False
    ) -> None:
        self._path, self._start, self._count = path, start, count
        self.capabilities = Capabilities(live=live, resumable=False)

    async def stream(self, cursor: str | None) -> AsyncGenerator[Chunk, None]:
        """See `Source.stream`."""
        del cursor
        for frame in batches(self._path, start=self._start, count=self._count):
            yield Chunk(frame=frame.with_columns(received_at=pl.lit(None, RECORDS["received_at"])))


def batches(path: Path, *, start: int = 0, count: int | None = None) -> Iterator[pl.DataFrame]:
    """RECORDS of a world's file; no more than one batch of it is held at a time."""
    left = count
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
        for n in range(reader.num_record_batches):
            frame = cast("pl.DataFrame", pl.from_arrow(reader.get_batch(n)))
            if start >= frame.height:
                start -= frame.height
                continue
            frame, start = frame[start:], 0
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            if frame.height:
                yield frame
            if left == 0:
                return


def make(
    folder: Path, *, posts: int, seed: int = 7, begin: int | None = None, name: str = WORLD
) -> dict[str, Any]:
    """Write a demo world of `posts` records, in bounded memory; returns what it is made of.

    Args:
        folder: Where to.
        posts: Records.
        seed: Of the world.
        begin: µs: where it begins; None: at the demo's own beginning.
        name: Of the file.
    """
    facts = asyncio.run(_write(folder / name, posts, seed, begin))
    facts["posts_per_event_minute"] = _per_minute(prepared(_sample(folder / name)).decoded.posts)
    return facts


def _per_minute(posts: pl.DataFrame) -> int:
    """Posts a minute of event time; the few that come very late are left out."""
    times = posts.filter(pl.col("role") == "create")["event_time"].dt.epoch("us").sort()
    low, high = len(times) // 20, len(times) - len(times) // 20 - 1
    minutes = (times[high] - times[low]) / 60e6 if high > low else 0
    return round((high - low) / minutes) if minutes else 0


async def _write(path: Path, posts: int, seed: int, begin: int | None) -> dict[str, Any]:
    url = f"demo:?seed={seed}&limit={posts}&speed=max"
    if begin is not None:
        url += f"&start={from_micros(begin).strftime('%Y-%m-%dT%H:%M:%S.%fZ')}"
    clock = SystemClock()
    source = cast("Demo", open_source(url, clock=clock))
    counted: Counter[str] = Counter()
    step = 0
    schema = _arrow(pl.DataFrame(schema=RECORDS)).schema
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        async for chunk in source.stream(None):
            if chunk.cursor:
                step = msgspec.json.decode(chunk.cursor, type=Cursor).step
            if chunk.frame is None:
                continue
            writer.write_table(_arrow(chunk.records("bench", clock.now())))
            native = chunk.frame["format"] != "jetstream"
            sizes = chunk.frame["raw"].bin.size()
            counted.update(records=chunk.frame.height, bytes=int(sizes.sum()))
            counted.update(natives=int(native.sum()), native_bytes=int(sizes.filter(native).sum()))
    jets = counted["records"] - counted["natives"]
    return {
        "records": counted["records"],
        "bytes_per_record": round(counted["bytes"] / max(1, counted["records"])),
        "jetstream_share": round(jets / max(1, counted["records"]), 3),
        "jetstream_bytes": round((counted["bytes"] - counted["native_bytes"]) / max(1, jets)),
        "native_bytes": round(counted["native_bytes"] / max(1, counted["natives"])),
        "ends": (step + 1) * source.law.step,
    }


def _arrow(frame: pl.DataFrame) -> Any:  # noqa: ANN401 - pyarrow is not typed
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def make_rules(  # noqa: PLR0913 - one set of rules, what it is made of
    folder: Path,
    *,
    rules: int,
    seed: int = 7,
    name: str = RULES,
    world: str = WORLD,
    names: int = NAMES,
) -> dict[str, Any]:
    """Write `rules` expressions that hit the world's posts about `HITS` times each in all.

    The first `KNOWN` are of the world's own words; the others also of coined names, since people
    name more things than any stretch of text has, and the world has few words.

    Of twice as many that are drawn, those that hit more often than a limit are left out: with
    thousands of careless rules every post would hit hundreds, and storing these would be measured.

    Args:
        folder: Where the world lies, and where to.
        rules: How many.
        seed: The same seed and world give the same rules.
        name: Of the file.
        world: Of the world's file.
        names: Coined names for each word of the world; 0: none.

    Returns:
        `hits_per_post` (mean, median, p99) on the world's first `SAMPLE` records.
    """
    sample = _sample(folder / world)
    annotated = flow.annotated(prepared(sample))
    creates = (annotated.posts["role"] == "create").to_numpy()
    words, known = _words(sample), min(rules, KNOWN)
    drawn = rule_texts(DRAWN * known, words, seed=seed)
    further = coined(names * len(words), seed=seed)
    drawn += rule_texts(DRAWN * (rules - known), words, seed=seed + 1, names=further)
    hits = match(compile_rules(versions(drawn)), annotated.posts, annotated.tokens)
    hits = hits.filter(pl.Series(creates)[hits["post"]])
    often = np.bincount(hits["rule"].to_numpy(), minlength=len(drawn) + 1)[1:]
    posts, cut = int(creates.sum()), DRAWN * known
    first = _fitting(often[:cut], known, HITS * posts)
    others = _fitting(often[cut:], rules - known, MORE_HITS * posts)
    chosen = np.concatenate([first, cut + others])
    (folder / name).write_bytes(msgspec.json.encode([drawn[i] for i in chosen]))
    kept = hits.filter(pl.col("rule").is_in((chosen + 1).tolist()))
    per_post = np.bincount(kept["post"].to_numpy(), minlength=len(creates))[creates]
    return {"rules": len(chosen), "hits_per_post": spread(per_post)}


def _fitting(often: "np.ndarray[Any, Any]", rules: int, most: float) -> "np.ndarray[Any, Any]":
    """Places of the first `rules` that hit no more often than a limit.

    It is the greatest with which as many of their kind hit at most `most` posts in all.
    """
    order = np.sort(often)
    mean = np.cumsum(order) / np.arange(1, len(order) + 1)
    enough = max(rules, int(np.searchsorted(mean * rules, most, side="right")))
    limit = order[min(enough, len(order)) - 1] if len(order) else 0
    return np.flatnonzero(often <= limit)[:rules]


def spread(per_post: "np.ndarray[Any, Any]") -> dict[str, float]:
    """Mean, median and 99th percentile of hits a post."""
    if not len(per_post):
        return {"mean": 0.0, "median": 0.0, "p99": 0.0}
    median, p99 = np.quantile(per_post, [0.5, 0.99])
    return {"mean": round(float(per_post.mean()), 3), "median": float(median), "p99": float(p99)}


def versions(texts: Sequence[str]) -> list[RuleVersion]:
    """Rules that always act; the first is number 1."""
    return [RuleVersion(n + 1, 1, 1, f"rule {n}", text, LONG_AGO) for n, text in enumerate(texts)]


def read_rules(path: Path) -> list[str]:
    """The expressions that `make_rules` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=list[str])


def _sample(path: Path) -> pl.DataFrame:
    """The first records of a world."""
    return pl.concat(batches(path, count=SAMPLE), rechunk=True)


def prepared(records: pl.DataFrame) -> flow.Prepared:
    """Records that no log has numbered yet, decoded and cut into tokens."""
    return flow.prepare(records.with_columns(offset=pl.int_range(pl.len(), dtype=pl.Int64)))


def prepared_batches(path: Path, count: int, size: int) -> Iterator[flow.Annotated]:
    """The posts of the world's first records, decoded and cut into tokens, `size` records each."""
    for records in pl.concat(batches(path, count=count)).iter_slices(size):
        yield flow.annotated(prepared(records))


def _words(records: pl.DataFrame) -> list[str]:
    """Words of the world by falling frequency, from a sample of its raw texts."""
    texts = records["raw"].cast(pl.String, strict=False).str.extract(r'"text":"([^"]{4,})"')
    counted = Counter(
        word
        for text in texts.drop_nulls().head(5_000)
        for word in set(terms(text))
        if len(word) > 2 and word[0] not in "#@$" and word.isalpha()
    )
    return [word for word, _ in sorted(counted.items(), key=lambda w: (-w[1], w[0]))]
