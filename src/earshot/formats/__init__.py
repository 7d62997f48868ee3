"""Wire formats, one file each, pure: native records in, frames out.

`names()` lists the modules; each keeps the `Format` protocol as module-level names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl


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
        """How surely one item (a JSON object, or a text's first lines) is of this format, 0–1."""

    @staticmethod
    def split(data: bytes) -> Iterator[bytes]:
        """Cut a page, a listing, a line or a file into items; raise FormatError when it cannot."""

    @staticmethod
    def decode(records: pl.DataFrame) -> Decoded:
        """Turn RECORD rows into columns; never raises on what a network sends."""
