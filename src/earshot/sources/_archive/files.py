"""Files of an archive: which there are, and their bytes, decompressed block by block."""

import io
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import zstandard

from earshot.errors import FormatError, NotFoundError

BLOCK: Final = 1 << 20
"""Bytes that are asked for at once; a block of plain text is at most this long."""
STDIN: Final = "stdin"
"""Name of standard input."""
_HEAD: Final = 4096
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_FEED: Final = 4096
"""Compressed bytes fed at once: zstd expands as it likes, so little is fed to bound memory."""


@dataclass(frozen=True, slots=True)
class Found:
    """One file of an archive, or standard input."""

    path: Path | None
    """None: standard input."""
    name: str
    """What records are keyed by: the path below the folder that was given, with `/`."""
    explicit: bool
    """It was named itself, so that it must hold records; else it lies in a named folder."""

    @property
    def size(self) -> int:
        """Bytes on disk; 0 where that cannot be known."""
        return self.path.stat().st_size if self.path and self.path.is_file() else 0


def find(paths: Sequence[str]) -> list[Found]:
    """List the files that `paths` name, folders in depth and sorted by name.

    Hidden files and folders inside a named folder are left out.

    Raises:
        NotFoundError: A path leads nowhere.
    """
    found = [f for path in paths for f in _found(path)]
    twice = {name for name, n in Counter(f.name for f in found).items() if n > 1}
    return [replace(f, name=str(f.path)) if f.name in twice and f.path else f for f in found]


def _found(path: str) -> Iterator[Found]:
    """The files of one path."""
    if path == "-":
        yield Found(None, STDIN, explicit=True)
        return
    root = Path(path).expanduser()
    if not root.exists():
        msg = f"archive: there is no file or folder '{path}'"
        raise NotFoundError(
            msg,
            hint="give files, folders, or - for standard input",
        )
    if not root.is_dir():
        yield Found(root, root.name, explicit=True)
        return
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(n for n in names if not n.startswith(".")):
            file = Path(folder) / name
            yield Found(file, file.relative_to(root).as_posix(), explicit=False)


class _Buffered(Protocol):
    """What is read from."""

    def read1(self, size: int, /) -> bytes:
        """At most `size` bytes, as many as are there; none at the end."""


class Stream:
    """The bytes of one file from the beginning, gzip and zstd undone by their first bytes."""

    def __init__(self, found: Found) -> None:
        self._opened = _open(found)
        self._counted = _Counted(self._opened)
        self._raw = io.BufferedReader(self._counted, BLOCK)
        self._seekable = found.path is not None and self._opened.seekable()
        self._magic = self._raw.peek(4)[:4]

    @property
    def consumed(self) -> int:
        """Bytes taken from the file itself so far, for showing progress."""
        return self._counted.position

    def identity(self) -> tuple[int, int]:
        """Tell this file from another of its name; keeps true while it is only appended to.

        To be asked before anything else is read.
        """
        return self._identity(_HEAD)

    def is_still(self, identity: tuple[int, int]) -> bool:
        """Whether `identity` was taken of this file, perhaps when it was shorter."""
        return self._identity(identity[0]) == identity

    def _identity(self, length: int) -> tuple[int, int]:
        """Length and checksum of the first bytes."""
        head = self._raw.peek(_HEAD)[:length]
        return len(head), zlib.crc32(head)

    def blocks(self, skip: int = 0) -> Iterator[bytes]:
        """Yield the decompressed bytes after the first `skip`, in blocks, never an empty one.

        Raises:
            FormatError: The compressed data is damaged or ends early; all before it was given.
        """
        if self._magic[:2] == _GZIP:
            yield from _skipped(_gunzip(self._raw), skip)
        elif self._magic == _ZSTD:
            yield from _skipped(_unzstd(self._raw), skip)
        elif self._seekable:
            self._raw.seek(skip)
            yield from _plain(self._raw)
        else:
            yield from _skipped(_plain(self._raw), skip)

    def close(self) -> None:
        """Close the file; standard input stays open, it is not ours."""
        if self._opened is not _stdin():
            self._opened.close()


def _stdin() -> BinaryIO:
    """Standard input, as bytes."""
    return sys.stdin.buffer


def _open(found: Found) -> BinaryIO:
    """Open without a buffer of its own."""
    return _stdin() if found.path is None else found.path.open("rb", buffering=0)


class _Counted(io.RawIOBase):
    """Passes reads through and counts what went by."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner, self.position = inner, 0
        # A pipe gives what it has; `read` of a buffered stream would wait for more.
        self._read: Callable[[int], bytes] = getattr(inner, "read1", inner.read)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """As the file is."""
        return self._inner.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; what lies before counts as read."""
        self.position = self._inner.seek(offset, whence)
        return self.position

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # typeshed asks for any buffer; io hands in these
        """Read at most as much as fits."""
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def _plain(raw: _Buffered) -> Iterator[bytes]:
    """Blocks as they are."""
    while block := raw.read1(BLOCK):
        yield block


def _skipped(blocks: Iterator[bytes], skip: int) -> Iterator[bytes]:
    """`blocks` without the first `skip` bytes, which are read and forgotten."""
    for block in blocks:
        if skip >= len(block):
            skip -= len(block)
            continue
        yield block[skip:]
        skip = 0


def _gunzip(raw: _Buffered) -> Iterator[bytes]:
    """Undo gzip, also of several members after each other."""
    rest = raw.read1(BLOCK)
    while rest:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            try:
                block = member.decompress(rest, BLOCK)
            except zlib.error as error:
                msg = f"the gzip data is damaged here: {error}"
                raise FormatError(msg) from error
            rest = member.unconsumed_tail or (b"" if member.eof else raw.read1(BLOCK))
            if block:
                yield block
            elif not rest and not member.eof:
                msg = "the gzip data ends early: the file is incomplete"
                raise FormatError(msg)
        rest = member.unused_data.lstrip(b"\0") or raw.read1(BLOCK).lstrip(b"\0")


def _unzstd(raw: _Buffered) -> Iterator[bytes]:
    """Undo zstd, also of several frames after each other."""
    rest = raw.read1(_ZSTD_FEED)
    while rest:
        frame = zstandard.ZstdDecompressor(max_window_size=1 << 30).decompressobj()
        while not frame.eof:
            if not rest:
                msg = "the zstd data ends early: the file is incomplete"
                raise FormatError(msg)
            try:
                block = frame.decompress(rest)
            except zstandard.ZstdError as error:
                msg = f"the zstd data is damaged here: {error}"
                raise FormatError(msg) from error
            rest = b"" if frame.eof else raw.read1(_ZSTD_FEED)
            if block:
                yield block
        rest = frame.unused_data or raw.read1(_ZSTD_FEED)
