"""Wire formats, one file each, pure: native records in, frames out.

`names()` lists the modules; each keeps the `Format` protocol as module-level names. A module may
say `LINES = True`: a line of its files is an item already, and `split` need not be asked; or
`PAGE_MARKS`: only a line that holds one of these, or is an array, need be asked about.

`decode` takes a batch of mixed formats. Which class a record gets is said once, in
`earshot.model.schema` and each module's docstring.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Protocol, cast

import polars as pl

from earshot.errors import UnknownSchemeError
from earshot.model.schema import EVENT, INTERACTION, OUTCOME, POST, empty
from earshot.rooms import schemes

SURE_ENOUGH: Final = 0.5
"""What `Format.detect` must reach for `detect` to believe it."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of records turned out to be; frames carry `record`, the row they came from."""

    posts: pl.DataFrame
    """`record` (UInt32), `role` (String: create | update | embedded), then POST.

    A record of class create or updates has exactly one row of that role; embedded posts (the
    original inside a repost or quote) may come with it. `event_time` is filled here.
    """
    events: pl.DataFrame
    """`record`, then EVENT."""
    interactions: pl.DataFrame
    """`record`, then INTERACTION."""
    outcome: pl.DataFrame
    """OUTCOME: one row for each record, in order, no more and no less."""


class Format(Protocol):
    """How one network writes its records down (module-level names of each file)."""

    NAME: str
    SOURCE: str
    """The network that records of this format come from unless the record says otherwise."""

    @staticmethod
    def detect(sample: bytes) -> float:
        """How surely one item (an object, or a text's first lines) is of this format: 0 to 1."""

    @staticmethod
    def split(data: bytes) -> Iterator[bytes]:
        """Cut a page, a listing, a line or a file into items; raise FormatError when it cannot."""

    @staticmethod
    def decode(records: pl.DataFrame) -> Decoded:
        """Turn RECORD rows into columns; never raises on what a network sends."""


@cache
def names() -> tuple[str, ...]:
    """All formats there are, plug-ins included, by name."""
    return tuple(sorted(schemes("formats")))


@cache
def get(name: str) -> Format:
    """The format of that name. Raises UnknownSchemeError."""
    if name not in names():
        room = "formats"
        raise UnknownSchemeError(room, name, names())
    return cast("Format", importlib.import_module(f"earshot.formats.{name}"))


def detect(sample: bytes) -> str | None:
    """Name the format that one item, or a text's first lines, is most surely of.

    Returns:
        None where it is no payload of any network: a README, a manifest, a schema, binary data.
    """
    sure = {name: get(name).detect(sample) for name in names()}
    best = max(sure, key=lambda name: sure[name])
    return best if sure[best] >= SURE_ENOUGH else None


def decode(records: pl.DataFrame) -> Decoded:
    """Decode a batch of any formats; `record` counts rows of this very batch, in order.

    What a record becomes depends on that record alone.

    Args:
        records: RECORD rows. Those of an unknown format are quarantined.
    """
    if records.height and records["format"].n_unique() == 1:
        sole = _decoded(records)
        return replace(sole, posts=_in_order(sole.posts))
    parts = records.with_row_index("row").partition_by("format", maintain_order=True)
    found = [_placed(part) for part in parts]
    return Decoded(
        posts=_together([d.posts for d in found], NO_POSTS),
        events=_together([d.events for d in found], NO_EVENTS),
        interactions=_together([d.interactions for d in found], NO_INTERACTIONS),
        outcome=_together([d.outcome for d in found], _NO_OUTCOME),
    )


_RECORD: Final = {"record": pl.UInt32()}
NO_POSTS: Final = pl.DataFrame(schema={**_RECORD, "role": pl.String(), **POST})
NO_EVENTS: Final = pl.DataFrame(schema={**_RECORD, **EVENT})
NO_INTERACTIONS: Final = pl.DataFrame(schema={**_RECORD, **INTERACTION})
_NO_OUTCOME: Final = empty(OUTCOME)


def _decoded(records: pl.DataFrame) -> Decoded:
    """Decode records of one format."""
    name = records["format"][0]
    return get(name).decode(records) if name in names() else _unknown(records, name)


def _placed(part: pl.DataFrame) -> Decoded:
    """Decode records of one format; `record` becomes their `row` in the whole batch."""
    rows = part["row"]
    some = _decoded(part.drop("row"))

    def placed(frame: pl.DataFrame) -> pl.DataFrame:
        if not frame.height:
            return frame
        return frame.clone().replace_column(0, rows[frame["record"]].alias("record"))

    return Decoded(
        placed(some.posts), placed(some.events), placed(some.interactions), placed(some.outcome)
    )


def _unknown(records: pl.DataFrame, name: str | None) -> Decoded:
    """Quarantine records that no module can read."""
    outcome = records.with_row_index("record").select(
        "record",
        pl.lit("quarantined").alias("class"),
        pl.lit(f"unknown format '{name}' (known: {', '.join(names())})").alias("reason"),
    )
    return Decoded(NO_POSTS.clone(), NO_EVENTS.clone(), NO_INTERACTIONS.clone(), outcome)


def _together(frames: list[pl.DataFrame], nothing: pl.DataFrame) -> pl.DataFrame:
    """Rows of all, in order of their records."""
    some = [frame for frame in frames if frame.height]
    if not some:
        return nothing.clone()
    return _in_order(pl.concat(some) if len(some) > 1 else some[0])


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """By record; of one record, in the order they have: nothing is copied where they are so."""
    if rows["record"].is_sorted():
        return rows
    return rows.sort("record", maintain_order=True)
