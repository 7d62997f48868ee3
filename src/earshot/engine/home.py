"""The home folder: where everything lies, which rooms stand there, and who holds the engine."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from earshot.clock import Clock
from earshot.control import Control, open_control
from earshot.errors import ConfigError, ConflictError, DiskError
from earshot.lake import Lake, open_lake
from earshot.log import Log, open_log
from earshot.settings import Settings, resolve
from earshot.store import Store, open_store

LOCK = "engine.lock"
UP_LOCK = "up.lock"
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms of one home, open. `lake` is opened by whoever needs it."""

    settings: Settings
    clock: Clock
    log: Log
    store: Store
    control: Control


def prepare(settings: Settings) -> Path:
    """Make the home folder and what the embedded rooms expect in it.

    Raises:
        ConfigError: The folder cannot be made or written.
        DiskError: It was written once, and cannot be now: that may pass.
    """
    home = settings.home.expanduser().resolve()
    hint = "choose another with --home or EARSHOT_HOME"
    for folder in (home, home / "data", home / "run"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as e:
            msg = f"the home folder {home} cannot be made: {e.strerror}"
            raise ConfigError(msg, hint=hint) from e
        if not os.access(folder, os.W_OK | os.X_OK):
            msg = f"the home folder {home} cannot be written"
            if (home / "run" / LOCK).exists():
                raise DiskError(msg, hint="check the disk, and the folder's owner and rights")
            raise ConfigError(msg, hint=hint)
    return home


@contextmanager
def open_rooms(settings: Settings, clock: Clock, *, writable: bool) -> Iterator[Rooms]:
    """Open log, store and control of a home; close them in turn.

    Args:
        settings: Whose URLs say what stands behind each room.
        clock: Handed to the rooms that need the time.
        writable: True for the one engine, which alone writes the store.
    """
    home = prepare(settings)
    with ExitStack() as stack:
        log = stack.enter_context(log_of(settings))
        store = stack.enter_context(open_store(resolve(settings.store, home), writable=writable))
        control = stack.enter_context(open_control(resolve(settings.control, home), clock=clock))
        yield Rooms(settings, clock, log, store, control)


@contextmanager
def open_control_of(settings: Settings, clock: Clock) -> Iterator[Control]:
    """Open the control room of a home alone."""
    with open_control(resolve(settings.control, prepare(settings)), clock=clock) as control:
        yield control


def log_of(settings: Settings) -> Log:
    """Open the log of a home."""
    most = int(settings.keep.log_gigabytes * 1e9)
    return open_log(resolve(settings.log, prepare(settings)), max_bytes=most)


def store_of(settings: Settings) -> Store:
    """Open the store of a home to read."""
    return open_store(resolve(settings.store, prepare(settings)))


def lake_of(settings: Settings) -> Lake:
    """Open the lake of a home."""
    return open_lake(resolve(settings.lake, prepare(settings)))


@contextmanager
def engine_lock(settings: Settings, *, patience_s: float = 0.25) -> Iterator[None]:
    """Hold the home's engine: there is one at a time. The lock goes with the process.

    Args:
        settings: Of the home.
        patience_s: How long to wait for another engine to end.

    Raises:
        ConflictError: Another process runs the engine of this home.
    """
    with _alone(settings, LOCK, "the engine of {home} runs already", patience_s):
        yield


@contextmanager
def up_lock(settings: Settings) -> Iterator[None]:
    """Hold the home's collectors and web app: two would collect everything twice.

    Raises:
        ConflictError: Another `earshot up` serves this home.
    """
    with _alone(settings, UP_LOCK, "Earshot runs already in {home}", 0.25):
        yield


def engine_runs(settings: Settings) -> bool:
    """Whether some process holds the engine of this home."""
    path = settings.home.expanduser().resolve() / "run" / LOCK
    try:
        with path.open() as file:  # to read only: a home that cannot be written can be looked at
            return not _locked(file, fcntl.LOCK_SH, 0.0)  # those that only look do not meet
    except FileNotFoundError:
        return False


@contextmanager
def _alone(settings: Settings, name: str, taken: str, patience_s: float) -> Iterator[None]:
    path = prepare(settings) / "run" / name
    with path.open("a+") as file:
        if not _locked(file, fcntl.LOCK_EX, patience_s):
            file.seek(0)
            msg = f"{taken.format(home=settings.home)} (process {file.read().strip()})"
            raise ConflictError(msg, hint="stop it first, or use another --home")
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _locked(file: IO[str], how: int, patience_s: float) -> bool:
    """Take a lock, waiting a little: who only looks holds it for an instant."""
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(POLL_S)
        else:
            return True
