"""What is broken: good records of every format, from the demo world and from samples."""

import asyncio
import itertools
import json
import random
import re
from pathlib import Path

from tests.formats.format_samples import ITEMS

from earshot.clock import SystemClock
from earshot.sources import open_source

Base = tuple[str, bytes]
"""Format and bytes."""

LONG_NUMBER = re.compile(rb"\d{9,19}")


def bases(*, posts: int = 3_000, real: Path | None = None) -> dict[str, list[bytes]]:
    """Good records by format; `real` is a folder of payloads that stay outside the repository."""
    found = {name: [json.dumps(i).encode() for i in items] for name, items in ITEMS.items()}
    for format_, raw in asyncio.run(_world(posts)):
        found[format_].append(raw)
    if real is not None:
        for format_, raw in _payloads(real):
            found[format_].append(raw)
    return found


async def _world(posts: int) -> list[Base]:
    clock = SystemClock()
    source = open_source(f"demo:?seed=3&limit={posts}&speed=max", clock=clock)
    frames = [c.records("fuzz", clock.now()) async for c in source.stream(None)]
    return [pair for f in frames for pair in f.select("format", "raw").iter_rows()]


def _payloads(folder: Path) -> list[Base]:
    """Lines of real streams, where they are there."""
    places = {"x_v1": "x_v1_stream/stream.jsonl", "jetstream": "bluesky/expected_v1.jsonl"}
    return [
        (format_, line.strip())
        for format_, place in places.items()
        if (folder / place).is_file()
        for line in itertools.islice((folder / place).open("rb"), 2_000)
        if line.strip()
    ]


def anew(raw: bytes, rng: random.Random) -> bytes:
    """The same with other ids (and other times), so that not all are duplicates."""
    return LONG_NUMBER.sub(lambda m: _digits(m[0], rng), raw)


def _digits(number: bytes, rng: random.Random) -> bytes:
    """Another number of as many digits that begins alike, so that times stay times."""
    tail = min(6, len(number))
    return number[:-tail] + b"%0*d" % (tail, rng.randrange(10**tail))
