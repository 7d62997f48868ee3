"""What the tests of Bluesky share: opening it on simulators, and telling events apart."""

import asyncio
import json
import random
import time
from contextlib import aclosing
from dataclasses import replace

from tests.simulators.jetstream import JetstreamSimulator

from earshot.clock import SystemClock
from earshot.sources.bluesky import Timing, connect

QUICK = Timing(patience=5, linger=0.01, base=0.01, cap=0.05, settled=60)
"""Waits of hundredths, so that a test sees many tries."""


def bluesky(*sims, clock=None, timing=None, **options):
    """The source, on these simulators (or addresses) in this order."""
    hosts = tuple(s if isinstance(s, str) else s.url for s in sims)
    options = {"hosts": hosts, "rng": random.Random(7), **options}
    return connect("bluesky:", clock=clock or SystemClock(), timing=timing or QUICK, **options)


def chunked(size, **more):
    return replace(QUICK, chunk=size, **more)


def what(item):
    """What makes an event this one, whichever instance witnessed it and on whichever wire."""
    raw = json.loads(item.raw)
    kind = raw["kind"] if "kind" in raw else raw["$type"].partition("#")[2]
    return _identity(kind, raw["did"], raw.get(kind, raw))


def known(happening):
    """The same for what the simulator published."""
    return _identity(happening.kind, happening.did, happening.body)


def _identity(kind, did, body):
    names = ("operation", "collection", "rkey", "rev") if kind == "commit" else ("seq",)
    return (kind, did, *(str(body.get(n, "")) for n in names))


class Seen:
    """Everything that came, in order."""

    def __init__(self):
        self.chunks = []

    @property
    def items(self):
        return [i for c in self.chunks for i in c.items]

    @property
    def events(self):
        return [what(i) for i in self.items]

    @property
    def gaps(self):
        return [g for c in self.chunks for g in c.gaps]

    @property
    def quarantine(self):
        return [q for c in self.chunks for q in c.quarantine]

    @property
    def states(self):
        return [c.state for c in self.chunks if c.state]

    @property
    def details(self):
        return " | ".join(c.detail for c in self.chunks if c.detail)

    @property
    def cursor(self):
        return next((c.cursor for c in reversed(self.chunks) if c.cursor), None)


def follow(source, cursor=None, *, until, live=None, seconds=20):
    """Pull chunks until `until(seen)`; `live()` is called once, when the stream has begun."""
    return asyncio.run(following(source, cursor, until=until, live=live, seconds=seconds))


async def following(source, cursor=None, *, until, live=None, seconds=20):
    seen, begun = Seen(), False
    async with asyncio.timeout(seconds), aclosing(source.stream(cursor)) as stream:
        async for chunk in stream:
            seen.chunks.append(chunk)
            if live and not begun and chunk.state in {"live", "catching_up"}:
                begun = True
                live()
            if until(seen):
                break
    return seen


def count(n):
    """Until so many events came."""
    return lambda seen: len(seen.items) >= n


def all_of(published):
    """Until each of these came at least once."""
    wanted = {known(w.happening) for w in published}
    return lambda seen: wanted <= set(seen.events)


def start_then(sim, n=30):
    """Follow a little of the present, so that there is a cursor; returns it."""
    return follow(bluesky(sim), until=count(n), live=lambda: sim.publish(n)).cursor


def two():
    """Two instances, each with its own numbers."""
    return JetstreamSimulator(first_seq=1000), JetstreamSimulator(first_seq=5_000_000)


def tell(sims, people, n, *, us, apart=300_000):
    """Let all witness the same `n` things, each a little later than the one before."""
    happened = [next(people) for _ in range(n)]
    for k, sim in enumerate(sims):
        sim.witness(happened, us=us + k * apart)
    return [known(h) for h in happened]


def now_us(seconds=0.0):
    """Unix microseconds, `seconds` from now."""
    return time.time_ns() // 1000 + round(seconds * 1e6)
