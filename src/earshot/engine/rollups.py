"""Windows of 5 minutes and of an hour, merged from smaller ones once these have come to rest.

A roll-up that is in the store always equals the minutes it stands for: when a minute changes, the
roll-ups above it are dropped in the same transaction, and made again later. Which ones are owed is
noted in the store first, so that no end of the process loses them.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import polars as pl

from earshot.clock import from_micros, micros
from earshot.model.schema import TIME
from earshot.pipeline.codec import decode, encode
from earshot.pipeline.top import totals
from earshot.pipeline.window import KEYS, MINUTE, Windows, chosen, roll
from earshot.store import Store, WindowBlock

FIVE_MINUTES: Final = 300
HOUR: Final = 3600
PARTS: Final = {FIVE_MINUTES: MINUTE, HOUR: FIVE_MINUTES}
"""Width of a roll-up → width of the windows it is merged from."""
FACT: Final = "windows.owed"
AT_REST: Final = dt.timedelta(seconds=5)
"""How long nothing must have changed before a roll-up is made, where event time stands still."""
GRACE: Final = dt.timedelta(minutes=2)
"""How far event time must have gone on before it is made at once."""
COST: Final = dt.timedelta(microseconds=10)
"""A roll-up rests this long for each of its rows before it is made again for a late post: ten
times what merging a row takes. Narrower windows answer meanwhile."""
MOST_PAIRS: Final = 3_000_000
"""(value, author) pairs of small windows kept in memory until they are merged."""

Key = tuple[int, dt.datetime, str]
"""Width, start, source of a roll-up, of all its rules."""


@dataclass(slots=True)
class _Owed:
    """A roll-up that has to be made."""

    touched: dt.datetime
    dropped: bool
    """Whether what the store had of it is gone."""
    at_hand: bool
    """Whether all its parts are in memory, each as it was made last."""


class RollUps:
    """Keeps account of the roll-ups that are owed, and makes them."""

    def __init__(self, store: Store, *, now: dt.datetime | None = None) -> None:
        self._store = store
        self._owed: dict[Key, _Owed] = {}
        self._at_hand: dict[int, list[Windows]] = {width: [] for width in PARTS}
        self._resting: dict[Key, dt.datetime] = {}
        self._noted: set[Key] = set()
        for width, start, source in _read(store.facts(FACT).get(FACT, "[]")):
            key = (width, from_micros(start), source)
            self._owed[key] = _Owed(now or from_micros(0), dropped=False, at_hand=False)
            self._noted.add(key)

    def owe(self, made: Windows, minutes: pl.DataFrame, now: dt.datetime) -> list[WindowBlock]:
        """Owe all roll-ups above these DIRTY rows; returns the blocks that drop their old ones.

        Args:
            made: The new windows of these minutes.
            minutes: The minutes, those that became empty too.
            now: To know when they come to rest.
        """
        parts = minutes.select(start="minute", source="source")
        fives = self._touch(FIVE_MINUTES, parts, now)
        self._touch(HOUR, fives, now)
        self._note()
        self._hold(FIVE_MINUTES, made, parts)
        new = [key for key, owed in self._owed.items() if not owed.dropped]
        for key in new:
            self._owed[key].dropped = True
        return [b for width in PARTS for b in empty(self._there(width, new), width)]

    def due(
        self,
        now: dt.datetime,
        dirty: pl.DataFrame,
        newest: Mapping[str, dt.datetime],
        *,
        everything: bool,
    ) -> list[Key]:
        """Roll-ups to make now, small ones first: nothing below them is dirty or owed.

        Args:
            now: The present.
            dirty: Minutes that wait, at least DIRTY.
            newest: How far event time has come in each source.
            everything: Also those that are still touched.
        """
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        open_ = {(HOUR, _floor(start, HOUR), s) for w, start, s in self._owed if w < HOUR}
        for width in PARTS:
            above = dirty.select(_floored(width, "minute"), "source").unique()
            open_ |= {(width, start, source) for start, source in above.iter_rows()}
        return sorted(
            key for key, owed in self._owed.items()
            if key not in open_ and (everything or self._rests(key, owed, now, newest))
        )  # fmt: skip

    def make(self, keys: Collection[Key], now: dt.datetime) -> list[WindowBlock]:
        """The blocks of these roll-ups, of one width, for all their rules."""
        width = next(iter(keys))[0]
        near = {key for key in keys if self._owed[key].at_hand}
        parts = self._release(width, near)
        parts += self._read_parts([key for key in keys if key not in near])
        made = roll(parts, width)
        if width == FIVE_MINUTES:
            self._touch(HOUR, _frame(keys), now)
            self._hold(HOUR, made, _frame(keys))
        gone = self._there(width, [key for key in keys if not self._owed[key].dropped])
        sizes = made.keys.with_columns(rows=np.diff(made.blocks.row_end))
        for start, source, n in sizes.group_by("start", "source").agg(pl.sum("rows")).iter_rows():
            self._resting[width, start, source] = now + n * COST
        for key in keys:
            del self._owed[key]
        return blocks_of(made, width, instead_of=gone)

    def settle(self) -> None:
        """Note that nothing is owed any more, where that is so."""
        if self._noted and not self._owed:
            self._noted = set()
            self._store.note(FACT, "[]")

    def _rests(
        self, key: Key, owed: _Owed, now: dt.datetime, newest: Mapping[str, dt.datetime]
    ) -> bool:
        if key in self._resting:
            return False
        width, start, source = key
        end = start + dt.timedelta(seconds=width)
        gone_on = newest.get(source, start) >= end + GRACE
        return gone_on or (now >= end and now >= owed.touched + AT_REST)

    def _touch(self, width: int, parts: pl.DataFrame, now: dt.datetime) -> pl.DataFrame:
        """Owe the roll-ups above these parts (`start`, `source`), and return them.

        Those that the store had no parts of need not read them: all that are made are held.
        """
        above = parts.select(_floored(width), "source").unique()
        keys = [(width, start, source) for start, source in above.iter_rows()]
        fresh = self._without_parts([key for key in keys if key not in self._owed])
        for key in keys:
            owed = self._owed.setdefault(key, _Owed(now, dropped=False, at_hand=key in fresh))
            owed.touched = now
        return above

    def _without_parts(self, keys: list[Key]) -> set[Key]:
        """Those of these roll-ups, all of one width, of which the store has no parts yet."""
        if not keys:
            return set()
        width = keys[0][0]
        there = self._store.windows_there(PARTS[width], _parts_of(keys, width))
        above = there.select(_floored(width), "source").unique()
        return set(keys) - {(width, start, source) for start, source in above.iter_rows()}

    def _hold(self, width: int, parts: Windows, made: pl.DataFrame) -> None:
        """Keep parts for the roll-ups of this width, as long as there is room.

        Args:
            width: Of the roll-ups.
            parts: Windows.
            made: `start`, `source` of the parts: what was held of these before goes.
        """
        others = []
        for held in self._at_hand[width]:
            others += _some(held, ~_is_in(held.keys.select("start", "source"), made))
        self._at_hand[width] = others
        if parts.keys.height:
            self._at_hand[width].append(parts)
        if sum(len(w.blocks.pair) for held in self._at_hand.values() for w in held) > MOST_PAIRS:
            for owed in self._owed.values():
                owed.at_hand = False
            self._at_hand = {w: [] for w in PARTS}

    def _release(self, width: int, keys: set[Key]) -> list[Windows]:
        """Take the parts of these roll-ups out of memory, and let go of what nobody waits for."""
        waiting = {k for k, owed in self._owed.items() if k[0] == width and owed.at_hand} - keys
        wanted, later = _frame(keys), _frame(waiting)
        taken, held = [], []
        for windows in self._at_hand[width]:
            above = windows.keys.select(_floored(width), "source")
            taken += _some(windows, _is_in(above, wanted))
            held += _some(windows, _is_in(above, later))
        self._at_hand[width] = held
        return taken

    def _read_parts(self, keys: Collection[Key]) -> list[Windows]:
        if not keys:
            return []
        width = next(iter(keys))[0]
        blocks = self._store.windows_at(PARTS[width], _parts_of(keys, width))
        return [windows_of(blocks)] if blocks else []

    def _there(self, width: int, keys: Collection[Key]) -> pl.DataFrame:
        """KEYS of the blocks that the store has of those of these roll-ups that are so wide."""
        return self._store.windows_there(width, _frame(k for k in keys if k[0] == width))

    def _note(self) -> None:
        """Write down what is owed, where more is owed than was written."""
        if self._owed.keys() <= self._noted:
            return
        self._noted = set(self._owed)
        rows = [(width, micros(start), source) for width, start, source in self._noted]
        self._store.note(FACT, msgspec.json.encode(sorted(rows)).decode())


def windows_of(blocks: list[WindowBlock], *, facet: str | None = None) -> Windows:
    """What these blocks hold; only one facet of it, where one is given."""
    keys = pl.DataFrame([(b.start, b.source, b.rule) for b in blocks], KEYS, orient="row")
    return Windows(keys, decode([b.data for b in blocks], facet=facet))


def blocks_of(
    windows: Windows, width: int, *, instead_of: pl.DataFrame | None = None
) -> list[WindowBlock]:
    """Blocks to store, and empty ones for those of KEYS `instead_of` that they do not replace."""
    keys, data = windows.keys, encode(windows.blocks)
    rows = zip(keys.iter_rows(), totals(windows.blocks).iter_rows(), data, strict=True)
    blocks = [
        WindowBlock(start, width, source, rule, posts, authors, score, blob)
        for (start, source, rule), (posts, authors, score), blob in rows
        if blob
    ]
    if instead_of is None or instead_of.is_empty():
        return blocks
    made = pl.DataFrame([(b.start, b.source, b.rule) for b in blocks], KEYS, orient="row")
    return blocks + empty(instead_of.join(made, on=KEYS.names(), how="anti"), width)


def empty(keys: pl.DataFrame, width: int) -> list[WindowBlock]:
    """What drops the blocks of these KEYS from the store."""
    found = keys.select(KEYS.names()).iter_rows()
    return [WindowBlock(start, width, source, rule, 0, 0, 0, b"") for start, source, rule in found]


def runs(windows: pl.DataFrame, width: int) -> list[tuple[str, dt.datetime, dt.datetime]]:
    """Cut windows of one width (`start`, `source`) into (source, since, until) without holes."""
    apart = pl.col("start").diff() != dt.timedelta(seconds=width)
    other = pl.col("source") != pl.col("source").shift()
    found = (
        windows.unique()
        .sort("source", "start")
        .with_columns(run=(apart | other).fill_null(value=True).cum_sum())
        .group_by("run", "source", maintain_order=True)
        .agg(since=pl.col("start").min(), until=pl.col("start").max())
    )
    wide = dt.timedelta(seconds=width)
    return [(s, since, until + wide) for _, s, since, until in found.iter_rows()]


def _frame(keys: Iterable[Key]) -> pl.DataFrame:
    """`start`, `source` of these roll-ups."""
    schema = pl.Schema([("start", TIME), ("source", pl.String())])
    return pl.DataFrame([key[1:] for key in keys], schema, orient="row")


def _parts_of(keys: Iterable[Key], width: int) -> pl.DataFrame:
    """`start`, `source` of the windows that these roll-ups of one width are merged from."""
    steps = [dt.timedelta(seconds=s) for s in range(0, width, PARTS[width])]
    offsets = pl.DataFrame({"step": steps}, {"step": pl.Duration("us")})
    return (
        _frame(keys).join(offsets, how="cross").select(pl.col("start") + pl.col("step"), "source")
    )


def _is_in(windows: pl.DataFrame, keys: pl.DataFrame) -> pl.Series:
    """Whether each window (`start`, `source`) is one of these."""
    known = keys.with_columns(known=pl.lit(value=True))
    found = windows.join(known, on=["start", "source"], how="left", maintain_order="left")
    return found["known"].fill_null(value=False)


def _some(windows: Windows, keep: pl.Series) -> list[Windows]:
    if not keep.any():
        return []
    return [windows] if keep.all() else [chosen(windows, keep)]


def _floored(width: int, column: str = "start") -> pl.Expr:
    return pl.col(column).dt.truncate(f"{width}s")


def _floor(moment: dt.datetime, width: int) -> dt.datetime:
    return from_micros(micros(moment) // (width * 1_000_000) * (width * 1_000_000))


def _read(text: str) -> list[tuple[int, int, str]]:
    return msgspec.json.decode(text, type=list[tuple[int, int, str]])
