"""From what a cutter gives to rows of the log: formats told, pages cut, keys made."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from earshot import formats
from earshot.errors import FormatError
from earshot.sources import RECORDS
from earshot.sources._archive import cut
from earshot.sources._archive.sniff import Shape

Raws = list[bytes] | pl.Series
"""Items, as objects or already as a column."""
_COMMANDS = "earshot"
"""Format of control records, which delete and hide; read only where it is asked for by name."""
_LOOKED_AT = 4
"""Lines of each batch whose format is looked at, to notice that a file has become mixed."""


@dataclass(slots=True)
class Items:
    """Makes records of one file's batches."""

    name: str
    shape: Shape
    at_start: bool
    """The next batch is the first of the file, and so begins with the header where there is one."""
    mixed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.mixed = self.shape.mixed

    def frame(self, batch: cut.Batch, now: dt.datetime) -> pl.DataFrame:
        """RECORDS of a batch; each line at least one, so that none goes uncounted."""
        raws, lines = list(batch.raws), list(batch.lines)
        if self.shape.header:
            raws, lines = self._rows(raws, lines)
            return self._frame(raws, lines, self.shape.format, now)
        if self.shape.cutter is cut.events:
            pairs = [(n, r) for n, raw in zip(lines, raws, strict=True) for r in self._event(raw)]
            return self._frame([r for _, r in pairs], [n for n, _ in pairs], None, now)
        if not self.mixed and self._is_mixed(raws):
            self.mixed = True
        if self.mixed:
            return self._mixed(raws, lines, now)
        items, lines = _pages(formats.get(self.shape.format), raws, lines)
        return self._frame(items, lines, self.shape.format, now)

    def _is_mixed(self, raws: list[bytes]) -> bool:
        """Whether a look at a few lines finds another format than the file's."""
        some = raws[:: max(1, len(raws) // _LOOKED_AT)]
        return not {network_format(raw) for raw in some} <= {self.shape.format, None}

    def _mixed(self, raws: list[bytes], lines: list[int], now: dt.datetime) -> pl.DataFrame:
        """Look at every line; what is of no known format goes with most of the file."""
        parts = [self._frame([], [], self.shape.format, now)]
        for raw, line in zip(raws, lines, strict=True):
            name = network_format(raw) or self.shape.format
            cut_up, numbers = _pages(formats.get(name), [raw], [line])
            parts.append(self._frame(cut_up, numbers, name, now))
        return pl.concat(parts)

    def _event(self, raw: bytes) -> Iterator[bytes]:
        """The items of one server-sent event; heartbeats have none."""
        try:
            yield from formats.get(self.shape.format).split(raw)
        except FormatError:
            yield raw

    def _rows(self, raws: list[bytes], lines: list[int]) -> tuple[list[bytes], list[int]]:
        """Objects of CSV rows; the format is given the header again with every batch."""
        if self.at_start:
            raws, lines, self.at_start = raws[1:], lines[1:], False
        if not raws:
            return [], []
        split = formats.get(self.shape.format).split
        ended = [raw if raw.endswith(b"\n") else raw + b"\n" for raw in raws]
        try:
            whole = list(split(self.shape.header + b"".join(ended)))
        except FormatError:
            whole = []
        if len(whole) == len(raws):
            return whole, lines
        # Row by row then: one that cannot be read is a record as it is.
        return _each(lambda raw: split(self.shape.header + raw), ended, lines)

    def _frame(
        self, raws: Raws, lines: list[int], name: str | None, now: dt.datetime
    ) -> pl.DataFrame:
        """Columns; the key says file and line."""
        name = name or self.shape.format
        columns: dict[str, Any] = {"raw": raws, "line": lines}
        text = pl.lit
        return pl.DataFrame(columns, schema={"raw": pl.Binary, "line": pl.Int64}).select(
            text(formats.get(name).SOURCE).alias("source"),
            text("").alias("connection"),
            text(name).alias("format"),
            text(now).cast(RECORDS["received_at"]).alias("received_at"),
            pl.concat_str(text(self.name + ":"), pl.col("line").cast(pl.String)).alias("key"),
            text("").alias("headers"),
            "raw",
        )


def network_format(sample: bytes) -> str | None:
    """`formats.detect`, but never Earshot's own: a file from elsewhere must not command us."""
    name = formats.detect(sample)
    return None if name == _COMMANDS else name


def _pages(module: formats.Format, raws: list[bytes], lines: list[int]) -> tuple[Raws, list[int]]:
    """Cut lines that hold many items; where a format says which may, only they are looked at."""
    marks = () if getattr(module, "LINES", False) else getattr(module, "PAGE_MARKS", None)
    if marks is None:
        return _each(module.split, raws, lines)
    series = pl.Series(raws, dtype=pl.Binary)
    pages = series.bin.starts_with(b"[")
    for mark in marks:
        pages |= series.bin.contains(mark)
    if not pages.any():
        return series, lines
    out: list[bytes] = []
    numbers: list[int] = []
    for raw, line, page in zip(raws, lines, pages, strict=True):
        cut_up, own = _each(module.split, [raw], [line]) if page else ([raw], [line])
        out += cut_up
        numbers += own
    return out, numbers


def _each(
    split: Callable[[bytes], Iterable[bytes]], raws: list[bytes], lines: list[int]
) -> tuple[list[bytes], list[int]]:
    """Cut each; what cannot be cut, or holds nothing, stays one record."""
    out: list[bytes] = []
    numbers: list[int] = []
    for raw, line in zip(raws, lines, strict=True):
        try:
            items = list(split(raw)) or [raw]
        except FormatError:
            items = [raw]
        out += items
        numbers += [line] * len(items)
    return out, numbers
