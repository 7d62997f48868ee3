"""One file of an archive, read in bounded memory: records, and what could not become one."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import polars as pl

from earshot import formats
from earshot.clock import Clock
from earshot.sources import Item
from earshot.sources._archive import cut, files
from earshot.sources._archive.items import Items, network_format
from earshot.sources._archive.sniff import HEAD, LONG_HEAD, Shape, sniff


@dataclass(frozen=True, slots=True)
class Part:
    """Records that lie behind each other in a file."""

    frame: pl.DataFrame
    """RECORDS; `headers` are empty."""
    start: cut.Place
    end: cut.Place
    quarantine: tuple[tuple[Item, str], ...] = ()


class Reader:
    """Opens a file and looks at its beginning; `shape` is None where it holds no payloads."""

    def __init__(self, found: files.Found, given: str | None) -> None:
        self._found = found
        self._stream = files.Stream(found)
        self.identity = self._stream.identity() if found.path else (0, 0)
        self._told: list[str] = []
        self._blocks = cut.damaged(self._stream.blocks(), self._told)
        self._head: list[bytes] = []
        try:
            self.shape = self._sniff(given)
        except BaseException:
            self.close()
            raise

    @property
    def consumed(self) -> int:
        """Bytes of the file itself that were read so far."""
        return self._stream.consumed

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def parts(self, start: cut.Place, clock: Clock) -> Iterator[Part]:
        """Yield what comes after `start`; a damaged file gives all before the damage."""
        shape = self.shape
        if shape is None:
            return
        items = Items(self._found.name, shape, at_start=start.offset == 0)
        place = start
        for batch in shape.cutter(self._from(start.offset), start):
            frame = items.frame(batch, clock.now())
            reason = f"longer than {cut.LIMIT >> 20} MB; only the beginning is kept"
            bad = tuple((self._bad(shape, line, raw), reason) for line, raw in batch.too_long)
            yield Part(frame, place, batch.end, bad)
            place = batch.end
        for reason in self._told:
            bad = ((self._bad(shape, place.line + 1, b""), reason),)
            yield Part(items.frame(cut.Batch([], [], place), clock.now()), place, place, bad)

    def is_same(self, identity: tuple[int, int]) -> bool:
        """Whether a cursor with `identity` was written about this file."""
        again = files.Stream(self._found)
        try:
            return again.is_still(identity)
        finally:
            again.close()

    def _from(self, offset: int) -> Iterator[bytes]:
        """The blocks after `offset`."""
        if offset == 0:
            head, self._head = self._head, []
            return chain(_let_go(head), self._blocks)
        self._stream.close()
        self._stream = files.Stream(self._found)
        return cut.damaged(self._stream.blocks(offset), self._told)

    def _sniff(self, given: str | None) -> Shape | None:
        """Read as much as is needed to tell the shape, and keep it."""
        shape, size = None, 0
        for wanted in (HEAD, LONG_HEAD):
            more = True
            while size < wanted and (more := bool(block := next(self._blocks, b""))):
                self._head.append(block)
                size += len(block)
            text = b"".join(self._head)
            shape = sniff(text, whole=not more, detect=network_format, given=given)
            if shape or not more:
                break
        return shape

    def _bad(self, shape: Shape, line: int, raw: bytes) -> Item:
        """An item for the quarantine."""
        source = formats.get(shape.format).SOURCE
        return Item(source, shape.format, raw, key=f"{self._found.name}:{line}")


def _let_go(blocks: list[bytes]) -> Iterator[bytes]:
    """Yield blocks, holding none that was yielded."""
    while blocks:
        yield blocks.pop(0)
