"""Archive: native payloads in files, folders or standard input, at their own pace or at once.

`archive:/path?speed=10&shift=1`, or `archive:` with `paths`. Plain, gzip or zstd, told by the first
bytes; JSON lines, JSON on many lines, server-sent events or CSV, told by the first items.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
import numpy as np
import polars as pl

from earshot import formats
from earshot.clock import Clock
from earshot.errors import ConfigError, UsageError
from earshot.sources import Capabilities, Chunk, Item
from earshot.sources._archive import cut, files
from earshot.sources._archive.pace import Micros, Pace, shift_to, times
from earshot.sources._archive.reader import Part, Reader

_TICK: Final = 0.05
"""Seconds of records that are handed over together when paced."""


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to go on; people and other rooms see it as opaque JSON."""

    file: str = ""
    identity: tuple[int, int] = (0, 0)
    """Length and checksum of the first bytes, so that another file of that name is noticed."""
    offset: int = 0
    line: int = 0
    base: int = 0
    skip: int = 0
    """Items after `offset` that were handed over already."""
    items: int = 0
    """Items handed over in all."""
    shift_us: int | None = None
    done: bool = False
    """All was read: the next run reads everything again."""


class _Headers(msgspec.Struct, omit_defaults=True):
    """Headers of each record of an archive."""

    archive: bool
    shift_us: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How an archive is read."""

    speed: float | None = None
    """Seconds of the archive in a second of the clock; None: as fast as it can be read."""
    shift: bool = False
    """Move the event clock so that the first record happens when it is read."""
    format: str | None = None
    """The format, where it is not to be found out."""


@dataclass(slots=True)
class Progress:
    """How far an archive is, in bytes of its files."""

    done: int = 0
    total: int = 0
    """0: not known, as of standard input."""
    items: int = 0
    file: str = ""


Sleep = Callable[[float], Awaitable[Any]]


class Archive:
    """Reads what lies in files; ends when all is read. See `Source`."""

    name = "archive"
    capabilities = Capabilities(live=False, resumable=True)

    def __init__(
        self, found: Sequence[files.Found], options: Options, clock: Clock, sleep: Sleep
    ) -> None:
        self._found, self._options = found, options
        self._clock, self._sleep = clock, sleep
        self._pace = Pace(options.speed or 1.0)
        self._shift_us: int | None = None
        self.progress = Progress()
        """How far it is; changes while the stream is read."""
        self.on_progress: Callable[[Progress], None] = lambda _: None
        """Called with `progress` after each chunk that was taken."""

    async def stream(self, cursor: str | None) -> AsyncIterator[Chunk]:
        """See `Source.stream`; the last chunk's cursor makes the next run read all again.

        Raises:
            UsageError: A file that was named itself holds no payloads, or no file does.
        """
        at = self._start(cursor)
        self.progress = Progress(total=sum(f.size for f in self._found), items=at.items)
        self._refuse_unreadable()
        names = [f.name for f in self._found]
        first = names.index(at.file) if at.file in names else 0
        before = sum(f.size for f in self._found[:first])
        payloads = at.items > 0
        for found in self._found[first:]:
            self.progress.done, self.progress.file = before, found.name
            async for chunk in self._file(found, at if found.name == at.file else Cursor()):
                payloads = payloads or chunk.cursor is not None
                yield chunk
                self.on_progress(self.progress)
            before += found.size
        if not payloads:
            raise _nothing(self._found)
        self.progress.done = before
        self.on_progress(self.progress)
        done = Cursor(items=self.progress.items, done=True)
        yield Chunk(
            cursor=_encode(done), state="done", detail=f"{self.progress.items:,} records read"
        )

    def _start(self, cursor: str | None) -> Cursor:
        """The cursor to start at; a finished archive starts anew."""
        at = msgspec.json.decode(cursor, type=Cursor) if cursor else Cursor()
        if at.done or at.file == files.STDIN:
            # What comes through a pipe now is not known to be what came before.
            at = Cursor()
        self._shift_us = at.shift_us
        return at

    def _refuse_unreadable(self) -> None:
        """Before anything is taken: files named themselves must hold payloads."""
        for found in self._found:
            if found.explicit and found.path is not None:
                reader = Reader(found, self._options.format)
                reader.close()
                if reader.shape is None:
                    raise _nothing([found])

    async def _file(self, found: files.Found, at: Cursor) -> AsyncIterator[Chunk]:
        """The chunks of one file, from its cursor on."""
        reader = Reader(found, self._options.format)
        try:
            if reader.shape is None:
                yield Chunk(detail=f"skipped {found.name}: it holds no payloads of a known format")
                return
            if at.file and not reader.is_same(at.identity):
                at = Cursor()
            yield Chunk(state="catching_up", detail=f"reading {found.name} ({reader.shape.format})")
            here = replace(at, file=found.name, identity=reader.identity)
            parts = reader.parts(cut.Place(at.offset, at.line, at.base), self._clock)
            before = self.progress.done
            while (part := await self._next(parts, found)) is not None:
                self.progress.done = before + reader.consumed
                async for chunk in self._part(part, here):
                    yield chunk
                here = replace(here, skip=max(0, here.skip - part.frame.height))
        finally:
            reader.close()

    async def _next(self, parts: Iterator[Part], found: files.Found) -> Part | None:
        """The next part; only a pipe may keep us waiting, so only it is read in a thread."""
        if found.path is None:
            return await asyncio.to_thread(next, parts, None)
        await self._sleep(0)
        return next(parts, None)

    async def _part(self, part: Part, here: Cursor) -> AsyncIterator[Chunk]:
        """The chunks of one part: one at full speed, else as many as its times ask for."""
        start, end = part.start, part.end
        frame = part.frame[here.skip :]
        if frame.height and (self._options.speed or self._shift_is_open):
            at = await asyncio.to_thread(times, frame)
            if self._shift_is_open:
                self._shift_us = shift_to(self._clock.now(), at)
        headers = _Headers(archive=True, shift_us=self._shift_us)
        text = pl.lit(msgspec.json.encode(headers).decode())
        frame = frame.with_columns(text.alias("headers"))
        here = replace(here, offset=start.offset, line=start.line, base=start.base)
        if self._options.speed and frame.height:
            async for low, high in self._turns(at):
                skip = here.skip + high
                yield self._chunk(frame[low:high], replace(here, skip=skip))
            frame = frame[:0]
        after = replace(here, offset=end.offset, line=end.line, base=end.base)
        after = replace(after, skip=max(0, here.skip - part.frame.height))
        yield self._chunk(frame, after, part.quarantine)

    @property
    def _shift_is_open(self) -> bool:
        """Whether the first record with a time is still to be found."""
        return self._options.shift and self._shift_us is None

    def _chunk(
        self, frame: pl.DataFrame, after: Cursor, quarantine: tuple[tuple[Item, str], ...] = ()
    ) -> Chunk:
        """Count, and hand over."""
        self.progress.items += frame.height
        after = replace(after, items=self.progress.items, shift_us=self._shift_us)
        return Chunk(frame=frame, cursor=_encode(after), quarantine=quarantine)

    async def _turns(self, at: Micros) -> AsyncIterator[tuple[int, int]]:
        """Yield ranges of records when it is their turn, in order, until all had theirs."""
        due = self._pace.due(at, self._clock.monotonic())
        low = 0
        while low < len(due):
            wait = due[low] - self._clock.monotonic()
            if wait > 0:
                await self._sleep(wait)
            now = max(self._clock.monotonic(), due[low])
            high = int(np.searchsorted(due, now + _TICK, side="right"))
            yield low, high
            low = high


replace = msgspec.structs.replace


def _encode(cursor: Cursor) -> str:
    """A cursor as others keep it."""
    return msgspec.json.encode(cursor).decode()


def _nothing(found: Sequence[files.Found]) -> UsageError:
    """The error that what was named holds nothing to read."""
    names = ", ".join(repr(f.name) for f in found[:3]) + (" …" if len(found) > 3 else "")
    what = f"in {names} " if found else "in an empty folder "
    return UsageError(
        f"archive: there are no payloads of a known format {what}".rstrip(),
        hint=f"known formats: {', '.join(sorted(formats.names()))}; give one with format=NAME",
    )


def connect(
    url: str,
    *,
    clock: Clock,
    paths: Sequence[str] = (),
    sleep: Sleep = asyncio.sleep,
    **options: Any,  # noqa: ANN401 - the same names as in the URL's query, checked here
) -> Archive:
    """Open `archive:/path?speed=10x&shift=1&format=x_v1`; `paths` are read after the URL's own.

    Args:
        url: The path may be a file, a folder, or `-`; %-escapes are undone.
        clock: Stamps `received_at` and keeps the pace.
        paths: More files and folders, taken literally.
        sleep: Waits for seconds; for tests.
        **options: `speed` (`max`, `10x`, 10.0), `shift` (bool) and `format`.

    Raises:
        ConfigError: An option is unknown or makes no sense.
        NotFoundError: A path leads nowhere.
    """
    path, _, query = url.partition(":")[2].partition("?")
    given = {**dict(parse_qsl(query, keep_blank_values=True)), **options}
    all_paths = [*([unquote(path)] if path else []), *paths]
    if not all_paths:
        msg = "archive: no path is given"
        raise ConfigError(msg, hint="archive:/path/to/file or paths=[…]")
    return Archive(files.find(all_paths), _options(given), clock, sleep)


def _options(given: dict[str, Any]) -> Options:
    """Check the options."""
    if unknown := given.keys() - {"speed", "shift", "format"}:
        msg = f"archive: unknown option '{min(unknown)}' (known: format, shift, speed)"
        raise ConfigError(
            msg,
        )
    name = given.get("format") or None
    if name is not None and name not in formats.names():
        known = ", ".join(sorted(formats.names()))
        msg = f"archive: unknown format '{name}' (known: {known})"
        raise ConfigError(msg)
    shift = str(given.get("shift", "")).lower() in {"1", "true", "yes", "on"}
    return Options(speed=_speed(given.get("speed", "max")), shift=shift, format=name)


def _speed(given: object) -> float | None:
    """`max` is None; `10x`, `10` and 10.0 are 10."""
    text = str(given).lower()
    if text in {"max", "none"}:
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        msg = f"archive: speed '{given}' is no speed"
        raise ConfigError(msg, hint="max, or a factor such as 1x or 1000x")
    return speed


def contract_url(folder: Path) -> str:
    """For the contract test: an archive of its own in `folder`."""
    lines = (_CONTRACT_LINE % (n % 60, 1000 + n, n) for n in range(80))
    file = folder / "posts.jsonl"
    file.write_text("".join(lines))
    return f"archive:{file}"


_CONTRACT_LINE: Final = (
    '{"created_at":"Thu Jan 01 00:00:%02d +0000 2026","id_str":"%d","text":"number %d",'
    '"user":{"id_str":"7","screen_name":"ada"},"lang":"en"}\n'
)
