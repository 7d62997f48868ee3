"""SIGKILL at any moment to engine, collector or both, while a Jetstream goes on: nothing is lost.

`EARSHOT_KILL_ROUNDS=200 pytest tests/faults/test_kill_live.py` runs so many rounds, half of them
on each wire; a round's number is its seed.
"""

import contextlib
import datetime as dt
import json
import os
import random
import time

import polars as pl
import pytest
from tests.faults.parts import CONNECTION, Part, StillClock, collector, engine
from tests.faults.whole import assert_same, everything, gone
from tests.simulators.jetstream import JetstreamSimulator
from tests.simulators.jetstream_world import POST, People

from earshot.clock import from_micros
from earshot.engine.home import open_rooms
from earshot.model.schema import FLOW_CLASSES, RECORD, empty
from earshot.settings import Settings
from earshot.sources._jetstream import Position

ROUNDS = int(os.environ.get("EARSHOT_KILL_ROUNDS", "4"))
EVENTS = 2_000
STEP_US = 300_000
BATCH, CHUNK = 97, 60
KILLS = 4
PATIENCE_S = 120
RULES = {"market": "market OR #swifts", "bicycles": '"bicycle tubes"', "quiet": "-lang:en"}
AGAIN = ("duplicate", "updates", "deletes", "interactions", "control")
"""Classes that grow where a source says things again."""


def jetstream(version, events=EVENTS):
    """The same people and the same history for every round, and a host that keeps all of it."""
    sim = JetstreamSimulator(people=People(seed=5, step_us=STEP_US), speaks=(version,))
    publish(sim, events)
    return sim


def publish(sim, events):
    """Let about so many things happen; every wire brings the last one, which is waited for."""
    entries, began = sim.log.entries, sim.people.began_us
    sim.publish(events, us=began + (len(entries) + events) * STEP_US, step_us=STEP_US)
    while entries[-1].happening.collection != POST:
        sim.publish(1, us=began + (len(entries) + 1) * STEP_US)


class Home:
    """A home beside a Jetstream: two processes, and how far they are."""

    def __init__(self, folder, sim, version):
        self.settings = Settings(home=folder / "home", batch=BATCH)
        self.entries = sim.log.entries
        self.first = self.entries[0]
        ends = self.first.us + EVENTS * STEP_US
        self.clock = StillClock(from_micros(ends) + dt.timedelta(minutes=1))
        with open_rooms(self.settings, self.clock, writable=True) as rooms:
            for name, text in RULES.items():
                since = from_micros(self.first.us)
                rooms.control.add_rule(name, text, active_from=since, actor="t")
            seq = self.first.seq if version == 2 else None
            start = Position(self.first.us, sim.url, seq, self.first.happening.did).cursor()
            rooms.log.append(empty(RECORD), cursors={CONNECTION: start})
        self.engine = Part(engine, self.settings, self.clock.at)
        self.collector = Part(collector, self.settings, self.clock.at, sim.url, CHUNK)
        self.parts = (self.engine, self.collector)

    @contextlib.contextmanager
    def running(self):
        for part in self.parts:
            part.start()
        try:
            yield
        finally:
            for part in self.parts:
                part.tidy()

    def done(self):
        """Whether all that was witnessed until now is stored."""
        with open_rooms(self.settings, self.clock, writable=False) as rooms:
            at = Position.parse(rooms.log.cursor(CONNECTION) or "{}")
            return at.us >= self.entries[-1].us and rooms.store.offset() == rooms.log.head()

    def finish(self):
        until = time.monotonic() + PATIENCE_S
        while not self.done():
            assert time.monotonic() < until, "it never came to the end"
            assert all(p.process.is_alive() for p in self.parts), "a process ended by itself"
            time.sleep(0.05)
        assert self.engine.end() == 0

    def stored(self):
        """How many records are stored."""
        with open_rooms(self.settings, self.clock, writable=False) as rooms:
            return rooms.store.offset()

    def whole(self, *, exact):
        return everything(self.settings, self.clock, exact=exact)


@pytest.fixture(scope="module", params=[2, 1], ids=["v2", "v1"])
def world(request, tmp_path_factory):
    """(simulator, version, what an undisturbed run comes to)."""
    with jetstream(request.param) as sim:
        home = Home(tmp_path_factory.mktemp("undisturbed"), sim, request.param)
        with home.running():
            home.finish()
        yield sim, request.param, home.whole(exact=request.param == 2)


def test_the_undisturbed_run_has_something_of_everything(world):
    _, _, whole = world
    names = set(whole["counts"].filter(pl.col("n") > 0)["name"])
    assert names >= {"unique", "updates", "deletes", "interactions", "control", "matched", "copies"}
    assert whole["hidden"].height
    assert whole["observations"].height
    assert whole["posts"]["rules"].list.len().max() > 1
    assert whole["lake"].height == whole["posts"].height
    assert whole["windows"]["width"].n_unique() == 3


@pytest.mark.parametrize("seed", range(ROUNDS // 2))
def test_killed_at_any_moment_it_comes_to_the_same(world, tmp_path, seed):
    sim, version, expected = world
    rng = random.Random(seed)
    home = Home(tmp_path, sim, version)
    kills = 0
    with home.running():
        while kills < KILLS:
            time.sleep(rng.uniform(0.0, 1.2))
            if home.done():
                break
            kills += 1
            struck = rng.choice(((home.engine,), (home.collector,), home.parts))
            for part in struck:
                part.kill()
            if rng.random() < 0.5:
                time.sleep(rng.uniform(0.0, 0.3))  # the other goes on alone for a while
            for part in struck:
                part.start()
        home.finish()
    assert kills, f"seed {seed}: it was never killed, the round shows nothing"

    found = home.whole(exact=version == 2)
    if version == 1:
        classes = found["counts"].filter(pl.col("name").is_in(FLOW_CLASSES), rule=0)
        assert classes["n"].sum() == home.stored()  # whatever came again is in one of them
        found["counts"], expected = (
            once(found["counts"]),
            {**expected, "counts": once(expected["counts"])},
        )
    assert_same(found, expected)
    assert gone(home.settings, home.clock, deleted(sim)) == set(deleted(sim))


def once(counts):
    """Without the classes that grow where a source says things again."""
    return counts.filter(~pl.col("name").is_in(AGAIN))


def deleted(sim):
    """(source, id) of the posts that were deleted."""
    told = (json.loads(e.v2)["payload"] for e in sim.log.entries[1:])
    posts = (p for p in told if (p.get("operation"), p.get("collection")) == ("delete", POST))
    return {("bluesky", f"at://{p['did']}/{POST}/{p['rkey']}") for p in posts}
