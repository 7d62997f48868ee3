"""What the kill test runs in processes of its own."""

import threading
from pathlib import Path

from earshot.clock import SystemClock
from earshot.engine.home import engine_lock, open_rooms
from earshot.engine.local import LocalEngine
from earshot.engine.replay import replay
from earshot.settings import Settings


def replay_into(home: Path, path: Path, batch: int) -> None:
    """`earshot replay`, in small batches so that there is much to be killed between."""
    replay(Settings(home=home, batch=batch), SystemClock(), [str(path)], options={})


def work_in(home: Path) -> None:
    """`earshot engine`."""
    settings = Settings(home=home, batch=64)
    with engine_lock(settings), open_rooms(settings, SystemClock(), writable=True) as rooms:
        LocalEngine(rooms).run(threading.Event())
