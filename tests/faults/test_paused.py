"""A process that is paused (SIGSTOP) while its source goes on."""

import os
import signal
import time

from tests.faults.test_kill_live import EVENTS, PATIENCE_S, Home, jetstream, publish
from tests.faults.whole import assert_same

PAUSE_S = float(os.environ.get("EARSHOT_PAUSE_S", "0.5"))


def test_paused_and_woken_it_goes_on_where_it_was(tmp_path):
    """Engine, collector, then both; for 30 seconds each by EARSHOT_PAUSE_S=30."""
    with jetstream(2, EVENTS // 4) as sim:
        paused = Home(tmp_path / "paused", sim, 2)
        with paused.running():
            for parts in ((paused.engine,), (paused.collector,), paused.parts):
                at_work(paused)
                for part in parts:
                    part.send(signal.SIGSTOP)
                publish(sim, EVENTS // 4)
                time.sleep(PAUSE_S)
                assert not paused.done(), "it was not paused"
                for part in parts:
                    part.send(signal.SIGCONT)
            paused.finish()

        still = Home(tmp_path / "still", sim, 2)
        with still.running():
            still.finish()
    whole = still.whole(exact=True)
    assert whole["posts"].height > EVENTS / 10
    assert_same(paused.whole(exact=True), whole)


def at_work(home):
    """Wait until the engine stores more than it had."""
    had, end = home.stored(), time.monotonic() + PATIENCE_S
    while home.stored() == had and not home.done():
        assert time.monotonic() < end, "it never began"
        time.sleep(0.01)
