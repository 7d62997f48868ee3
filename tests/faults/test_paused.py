"""A process that is paused (SIGSTOP) while its source goes on."""

import os
import signal
import time

from tests.faults.test_kill_live import EVENTS, Home, jetstream
from tests.faults.whole import assert_same

PAUSE_S = float(os.environ.get("EARSHOT_PAUSE_S", "1.5"))


def test_paused_and_woken_it_goes_on_where_it_was(tmp_path):
    """Engine and collector in turn, then both; 30 seconds by EARSHOT_PAUSE_S=30."""
    with jetstream(2) as sim:
        wholes = []
        for name, pauses in (("still", 0.0), ("paused", PAUSE_S)):
            home = Home(tmp_path / name, sim, 2)
            with home.running():
                for parts in ((home.engine,), (home.collector,), home.parts) if pauses else ():
                    for part in parts:
                        part.send(signal.SIGSTOP)
                    time.sleep(pauses / 3)
                    for part in parts:
                        part.send(signal.SIGCONT)
                home.finish()
            wholes.append(home.whole(exact=True))
    assert wholes[0]["posts"].height > EVENTS / 10
    assert_same(wholes[1], wholes[0])
