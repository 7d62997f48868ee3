"""Files on this machine: SQLite through one door, locks between processes, errors with a path."""

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

import apsw
import polars as pl

from earshot.errors import ConfigError, ConflictError, DiskError, EarshotError, RetryableError

BUSY_MS = 30_000
"""How long a statement waits for another process before it gives up."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No room, a quota, a limit on the size of files."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""So polars tells what the system said to a file it writes."""

POLL_S = 0.05
"""How often a lock is tried that is waited for with a limit."""


def sqlite_path(url: str) -> Path:
    """Read the file that a `sqlite:///path` URL names.

    Raises:
        ConfigError: The URL names none.
    """
    path = url.removeprefix("sqlite:///")
    if path in {url, "", ":memory:"}:
        msg = f"'{url}' names no file"
        raise ConfigError(msg, hint="write sqlite:///folder/name.db")
    return Path(path)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise into errors that name `path` and the remedy.

    Raises:
        DiskError: The disk is full, fails, or may not be written. Whoever runs for long waits for
            it: all of that can be mended without a restart.
        RetryableError: Another process holds the file for too long.
        EarshotError: The file is damaged.
    """
    try:
        yield
    except apsw.FullError as e:
        raise _full(path) from e
    except (apsw.BusyError, apsw.LockedError) as e:
        msg = f"{path}: another process holds it for too long"
        raise RetryableError(msg, hint="wait, or stop the other process") from e
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError) as e:
        msg = f"{path} cannot be opened or written ({e})"
        raise DiskError(msg, hint="check the folder's owner and rights, or use --home") from e
    except (apsw.CorruptError, apsw.NotADBError) as e:
        msg = f"{path} is damaged or no database ({e})"
        raise EarshotError(msg, hint="restore it from a backup, or move it away") from e
    except apsw.IOError as e:
        raise DiskError(f"{path}: {e}", hint="check the disk") from e  # noqa: EM102 - one line, two values
    except OSError as e:
        if e.errno in FULL:
            raise _full(path) from e
        msg = f"{path}: {e.strerror or e}"
        raise DiskError(msg, hint="check that the folder exists and may be written") from e
    except pl.exceptions.ComputeError as e:
        number = _OS_ERROR.search(str(e))
        if number is None:
            raise
        if int(number[1]) in FULL:
            raise _full(path) from e
        raise DiskError(f"{path}: {e}", hint="check the disk") from e  # noqa: EM102 - as above


def _full(path: Path) -> DiskError:
    return DiskError(f"{path}: the disk is full", hint="free some space")


def open_sqlite(path: Path, pragmas: Sequence[str], *, readonly: bool = False) -> apsw.Connection:
    """Open `path` (made with its folder if it is not there) and run `pragmas` in turn.

    Raises:
        EarshotError: It cannot be opened; see `explained`.
    """
    with explained(path):
        if not readonly:
            path.parent.mkdir(parents=True, exist_ok=True)
        make = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY if readonly else make)
        try:
            db.set_busy_timeout(BUSY_MS)
            for pragma in pragmas:
                db.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def transaction(db: apsw.Connection, *, write: bool = True) -> Iterator[None]:
    """Make what is inside whole or nothing; reads inside see one state of the file."""
    db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def rows(
    db: apsw.Connection, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """Run one statement and read all it gives."""
    return db.execute(statement, values).fetchall()


def migrate(db: apsw.Connection, path: Path, steps: Sequence[Sequence[str]]) -> None:
    """Bring a file to the newest version; each step and the note that it ran are one transaction.

    Args:
        db: Open to write.
        path: For messages.
        steps: Statements of version 1, 2, …; `user_version` says which ran.

    Raises:
        ConfigError: A newer program made the file.
    """
    with transaction(db):
        version = int(db.pragma("user_version"))
        if version > len(steps):
            msg = f"{path} was made by a newer version of earshot (its version is {version})"
            raise ConfigError(msg, hint="upgrade earshot, or use another --home")
        for number, statements in enumerate(steps[version:], version + 1):
            for statement in statements:
                db.execute(statement).fetchall()
            db.execute(f"PRAGMA user_version = {number}").fetchall()


def used_bytes(db: apsw.Connection) -> int:
    """Bytes of the pages in use; what was deleted and can be used again is left out."""
    pages = int(db.pragma("page_count")) - int(db.pragma("freelist_count"))
    return pages * int(db.pragma("page_size"))


def file_bytes(path: Path) -> int:
    """Bytes that a database takes on disk, with what waits to be written into it."""
    files = (path, path.with_name(path.name + "-wal"))
    return sum(f.stat().st_size for f in files if f.exists())


class FileLock:
    """An advisory lock on a file that the system lets go of when the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def take(self, what: str) -> Self:
        """Hold it for oneself at once, or say who does.

        Raises:
            ConflictError: Somebody else holds it.
        """
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            msg = f"{what} is being written by process {holder} already"
            raise ConflictError(msg, hint="stop that process first, or use another --home") from e
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return self

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def waiting(self, *, shared: bool, seconds: float | None = None) -> Iterator[None]:
        """Hold it, together with others that share it or alone, waiting for it if need be.

        Args:
            shared: Whether others that share it may hold it, too.
            seconds: How long to wait at most; None: as long as it takes.

        Raises:
            RetryableError: Somebody held it all the time.
        """
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a+")
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        with file:
            if seconds is None:
                fcntl.flock(file, how)
            elif not _locked_within(file, how, seconds):
                msg = f"{self.path} is held by somebody else"
                raise RetryableError(msg, hint="end the command that uses it, or wait")
            yield


def _locked_within(file: IO[str], how: int, seconds: float) -> bool:
    for left in range(int(seconds / POLL_S), -1, -1):
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(POLL_S)
        else:
            return True
    return False
