"""An engine left between a commit and a flush, again and again, in one process: small and exact.

What `test_kill_live` finds by chance is found here at every turn: windows that are made of what
an earlier engine stored, and of what this one saw.
"""

import random

import pytest
from tests.faults.parts import CONNECTION, as_witnessed
from tests.faults.test_kill_live import Home, jetstream
from tests.faults.whole import assert_same

from earshot.engine.collect import records_of
from earshot.engine.home import engine_lock, open_rooms
from earshot.engine.local import LocalEngine
from earshot.sources import Chunk, Item

BATCHES = 7
"""An engine is left after so many at most."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Makes homes whose log holds the same history, and which no engine has seen yet."""
    with jetstream(2) as sim:
        said = (Item("bluesky", "jetstream", e.v2) for e in sim.log.entries[1:])
        records = records_of(Chunk(items=tuple(map(as_witnessed, said))), CONNECTION, None)

        def make(name):
            made = Home(tmp_path_factory.mktemp(name), sim, 2)
            with open_rooms(made.settings, made.clock, writable=True) as rooms:
                rooms.log.append(records)
            return made

        yield make


def work_off(home, rng=None):
    """Engine after engine, each left where `rng` says, with windows made now and then."""
    while True:
        with (
            engine_lock(home.settings),
            open_rooms(home.settings, home.clock, writable=True) as rooms,
        ):
            engine = LocalEngine(rooms)
            try:
                if _goes_on(engine, rng):
                    engine.close()
                    return
            finally:
                engine.abandon()


def _goes_on(engine, rng):
    """Whether the log was worked off before the engine is to be left."""
    left = rng.randint(1, BATCHES) if rng else None
    while left != 0:
        if engine.step() == 0:
            return True
        if rng:
            left -= 1
            if rng.random() < 0.3:
                engine.settle()
    return False


@pytest.fixture(scope="module")
def expected(home):
    undisturbed = home("undisturbed")
    work_off(undisturbed)
    return undisturbed.whole(exact=True)


@pytest.mark.parametrize("seed", range(2))
def test_left_after_any_batch_it_comes_to_the_same(home, expected, seed):
    left = home(f"left{seed}")
    work_off(left, random.Random(seed))
    assert_same(left.whole(exact=True), expected)
