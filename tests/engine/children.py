"""What the kill test runs in processes of its own."""

import datetime as dt
import os
import signal
import threading
import time
from pathlib import Path

from tests.engine.homes import NOON
from tests.faults.parts import StillClock

from earshot.engine.replay import replay
from earshot.lake.file import FileLake
from earshot.log.sqlite import SqliteLog
from earshot.settings import Settings
from earshot.store.sqlite import SqliteStore

WRITES = (
    (SqliteLog, ("append", "report", "trim")),
    (SqliteStore, ("commit", "put_windows", "note", "retire")),
    (FileLake, ("append", "replace", "erase", "compact")),
)
"""All that changes a file; a home's state changes in between, or in the middle of one of them."""
CLOCK = StillClock(NOON + dt.timedelta(hours=2))


def replay_into(home: Path, path: Path, batch: int, kill_at: int, after_s: float) -> None:
    """`earshot replay`, in small batches; killed so long after its `kill_at`-th write began.

    Where it is not killed, the number of writes lies in `home/writes` afterwards.
    """
    writes = _Writes(kill_at, after_s)
    for room, names in WRITES:
        for name in names:
            setattr(room, name, writes.counted(getattr(room, name)))
    replay(Settings(home=home, batch=batch), CLOCK, [str(path)], options={})
    (home / "writes").write_text(str(writes.seen))


class _Writes:
    """Counts writes, and ends the process at one of them."""

    def __init__(self, kill_at, after_s):
        self.seen, self._kill_at, self._after_s = 0, kill_at, after_s
        self._lock = threading.Lock()

    def counted(self, method):
        def write(*args, **more):
            with self._lock:
                self.seen += 1
                mine = self.seen
            if mine == self._kill_at:
                threading.Thread(target=self._kill, daemon=True).start()
            return method(*args, **more)

        return write

    def _kill(self):
        time.sleep(self._after_s)
        os.kill(os.getpid(), signal.SIGKILL)
