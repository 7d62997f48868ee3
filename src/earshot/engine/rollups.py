"""Windows of 5 minutes and of an hour, merged from smaller ones once these have come to rest.

A roll-up that is in the store always equals the minutes it stands for: when a minute changes, the
roll-ups above it are dropped in the same transaction, and made again later. Which ones are owed is
noted in the store first, so that no end of the process loses them.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import msgspec
import numpy as np
import polars as pl

from earshot.clock import from_micros, micros
from earshot.model.schema import TIME
from earshot.pipeline.codec import decode, encode
from earshot.pipeline.page import PAGES, decode_pages, encode_pages
from earshot.pipeline.top import totals
from earshot.pipeline.window import KEYS, MINUTE, Windows, gathered, roll
from earshot.store import Store, WindowBlock

FIVE_MINUTES: Final = 300
HOUR: Final = 3600
PARTS: Final = {FIVE_MINUTES: MINUTE, HOUR: FIVE_MINUTES}
"""Width of a roll-up → width of the windows it is merged from."""
FACT: Final = "windows.owed"
PAGED: Final = "windows.paged"
"""Fact: from when on (microseconds) all minutes have the windows of their rules in pages."""
AT_REST: Final = dt.timedelta(seconds=5)
"""How long nothing must have changed before a roll-up is made, where event time stands still."""
GRACE: Final = dt.timedelta(minutes=2)
"""How far event time must have gone on before it is made at once."""
COST: Final = dt.timedelta(microseconds=10)
"""A roll-up rests this long for each of its rows before it is made again for a late post: ten
times what merging a row takes. Narrower windows answer meanwhile."""
MOST_POSTS: Final = 100_000
"""An hour with more posts is merged page by page, so that memory stays bounded."""

Key = tuple[int, dt.datetime, str]
"""Width, start, source of a roll-up, of all its rules."""


@dataclass(slots=True)
class _Owed:
    """A roll-up that has to be made."""

    touched: dt.datetime
    dropped: bool
    """Whether what the store had of it is gone."""


class RollUps:
    """Keeps account of the roll-ups that are owed, and makes them."""

    def __init__(self, store: Store, *, now: dt.datetime | None = None) -> None:
        self._store = store
        self._owed: dict[Key, _Owed] = {}
        self._resting: dict[Key, dt.datetime] = {}
        self._noted: set[Key] = set()
        for width, start, source in _read(store.facts(FACT).get(FACT, "[]")):
            key = (width, from_micros(start), source)
            self._owed[key] = _Owed(now or from_micros(0), dropped=False)
            self._noted.add(key)
        self._paged = self._paged_since()

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, minutes: pl.DataFrame, now: dt.datetime) -> list[WindowBlock]:
        """Owe all roll-ups above these DIRTY rows; returns the blocks that drop their old ones.

        Args:
            minutes: Those made again, those that became empty too.
            now: To know when they come to rest.
        """
        parts = minutes.select(start="minute", source="source")
        self._touch(FIVE_MINUTES, parts, now)
        self._touch(HOUR, parts, now)
        self._note()
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

    def make(self, keys: Collection[Key], now: dt.datetime) -> Iterator[list[WindowBlock]]:
        """The blocks of these roll-ups, of one width, to be stored part after part."""
        width = next(iter(keys))[0]
        yield empty(self._there(width, [k for k in keys if not self._owed[k].dropped]), width)
        for key in keys:
            self._owed[key].dropped = True
        rows = dict.fromkeys(keys, 0)
        for parts in self._fives(keys) if width == FIVE_MINUTES else self._hours(keys):
            made = roll(parts, width)
            sizes = made.keys.with_columns(rows=np.diff(made.blocks.row_end))
            sizes = sizes.group_by("start", "source").agg(pl.sum("rows"))
            for start, source, n in sizes.iter_rows():
                rows[width, start, source] += n
            yield blocks_of(made, width)
        for key in keys:
            del self._owed[key]
            self._resting[key] = now + rows[key] * COST

    def _fives(self, keys: Collection[Key]) -> Iterator[list[Windows]]:
        """What 5 minutes are merged from; of rules only the totals, which a series asks for."""
        blocks = self._store.windows_at(MINUTE, _parts_of(keys, FIVE_MINUTES))
        small = [b for b in blocks if b.rule]
        yield [windows_of([b for b in blocks if not b.rule]), windows_of(small, facet="total")]

    def _hours(self, keys: Collection[Key]) -> Iterator[list[Windows]]:
        """What hours are merged from: 5 minutes each; the windows of rules from minutes."""
        fives = self._within(keys, FIVE_MINUTES, 0)
        yield [windows_of(fives)]
        great = sum(b.posts for b in fives) > MOST_POSTS
        if not great or any(start <= self._paged for _, start, _ in keys):
            blocks = self._store.windows_at(MINUTE, _parts_of(keys, HOUR, MINUTE))
            yield [windows_of([b for b in blocks if b.rule])]
            return
        for page in range(-PAGES, 0):
            yield [windows_of(self._within(keys, MINUTE, page))]

    def _within(self, hours: Iterable[Key], width: int, rule: int) -> list[WindowBlock]:
        """Blocks of one width and rule in these hours."""
        blocks: list[WindowBlock] = []
        for _, since, source in hours:
            until = since + dt.timedelta(seconds=HOUR)
            blocks += self._store.windows(
                width=width, since=since, until=until, source=source, rule=rule
            )
        return blocks

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

    def _touch(self, width: int, parts: pl.DataFrame, now: dt.datetime) -> None:
        """Owe the roll-ups above these parts (`start`, `source`)."""
        for start, source in parts.select(_floored(width), "source").unique().iter_rows():
            self._owed.setdefault((width, start, source), _Owed(now, dropped=False)).touched = now

    def _paged_since(self) -> dt.datetime:
        """After which time no minute has a block for each rule any more, as it once was."""
        noted = self._store.facts(PAGED).get(PAGED)
        if noted is None:
            bounds = self._store.bounds()
            noted = str(micros(bounds[1]) if bounds else 0)
            self._store.note(PAGED, noted)
        return from_micros(int(noted))

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


def windows_of(
    blocks: list[WindowBlock], *, rule: int | None = None, facet: str | None = None
) -> Windows:
    """What these blocks hold; of pages only one rule, of all only one facet, where it is given."""
    single = [b for b in blocks if b.rule >= 0]
    pages = [b for b in blocks if b.rule < 0]
    places = [(b.start, b.source, b.rule) for b in single]
    apart = Windows(_keys(places), decode([b.data or b"" for b in single], facet=facet))
    if not pages:
        return apart
    found, rules, many = decode_pages([b.data or b"" for b in pages], rule=rule, facet=facet)
    keys = _keys([(b.start, b.source, 0) for b in pages])
    keys = keys[np.repeat(np.arange(len(pages)), many)].with_columns(rule=pl.Series(rules))
    paged = Windows(keys, found)
    return gathered([apart, paged]) if single else paged


def blocks_of(
    windows: Windows, width: int, *, instead_of: pl.DataFrame | None = None
) -> list[WindowBlock]:
    """Blocks to store, and empty ones for those of KEYS `instead_of` that they do not replace.

    The minutes of rules lie in pages, and beside them only their totals.
    """
    there = windows.keys.hstack(totals(windows.blocks)).with_columns(
        window=np.arange(windows.keys.height)
    ).filter(np.diff(windows.blocks.row_end) > 0)  # fmt: skip
    paged = (pl.col("rule") != 0) & (width == MINUTE)
    whole, small = there.filter(~paged), there.filter(paged)
    data: list[bytes | None] = [*encode(windows.blocks, whole["window"].to_numpy())]
    data += [None] * small.height
    blocks = [
        WindowBlock(start, width, source, rule, posts, authors, score, blob)
        for (start, source, rule, posts, authors, score, _), blob in zip(
            chain(whole.iter_rows(), small.iter_rows()), data, strict=True
        )
    ]
    if small.height:
        blocks += _pages(windows, small, width)
    if instead_of is None or instead_of.is_empty():
        return blocks
    made = _keys([(b.start, b.source, b.rule) for b in blocks])
    return blocks + empty(instead_of.join(made, on=KEYS.names(), how="anti"), width)


def _pages(windows: Windows, small: pl.DataFrame, width: int) -> list[WindowBlock]:
    """The pages of these windows: KEYS and `window`, the number of each."""
    on = ["start", "source", "page"]
    small = small.with_columns(page=-1 - pl.col("rule") % PAGES).sort(*on, "rule")
    places = small.group_by(on, maintain_order=True).len()
    ends = np.cumsum([0, *places["len"].to_list()])
    rules = windows.keys["rule"].to_numpy()
    data = encode_pages(windows.blocks, rules, small["window"].to_numpy(), ends)
    return [
        WindowBlock(start, width, source, page, 0, 0, 0, blob)
        for (start, source, page), blob in zip(places.select(on).iter_rows(), data, strict=True)
    ]


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


def _keys(places: list[tuple[dt.datetime, str, int]]) -> pl.DataFrame:
    return pl.DataFrame(places, KEYS, orient="row")


def _parts_of(keys: Iterable[Key], width: int, part: int | None = None) -> pl.DataFrame:
    """`start`, `source` of the windows that these roll-ups of one width are merged from."""
    steps = [dt.timedelta(seconds=s) for s in range(0, width, part or PARTS[width])]
    offsets = pl.DataFrame({"step": steps}, {"step": pl.Duration("us")})
    return (
        _frame(keys).join(offsets, how="cross").select(pl.col("start") + pl.col("step"), "source")
    )


def _floored(width: int, column: str = "start") -> pl.Expr:
    return pl.col(column).dt.truncate(f"{width}s")


def _floor(moment: dt.datetime, width: int) -> dt.datetime:
    return from_micros(micros(moment) // (width * 1_000_000) * (width * 1_000_000))


def _read(text: str) -> list[tuple[int, int, str]]:
    return msgspec.json.decode(text, type=list[tuple[int, int, str]])
