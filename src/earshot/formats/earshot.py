"""Earshot's own control records: what an operator or a resolver says about posts and people.

`{"kind": "delete" | "hide" | "show" | "author_delete" | "author_update" | "geo_scrub" | "sync",
"source": …, "id": …, "author_id": …, "profile": {…}, "version": …}`. All are of class control,
also those whose kind this version does not know and those that name nothing (they do nothing).
`source` is the network that is meant, not "earshot". `at` is when the record was taken in.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from earshot.formats import Decoded, _cut
from earshot.formats._frames import decoded, first_of, judged
from earshot.formats._json import Fields, Reader
from earshot.model.schema import EVENT, EVENT_KINDS

NAME: Final = "earshot"
SOURCE: Final = "earshot"
LINES: Final = True

_FIELDS: Final[Fields] = {
    "kind": pl.String(),
    "source": pl.String(),
    "id": pl.String(),
    "author_id": pl.String(),
    "version": pl.Int64(),
    "profile": EVENT["profile"],
}
_READER: Final = Reader(_FIELDS)
_CLASSES: Final = first_of(control=pl.col("kind").is_not_null())
_WHY: Final = pl.lit("a control record without a kind")


def detect(sample: bytes) -> float:
    """See `Format.detect`."""
    item = _cut.first_object(sample)
    known = _cut.text(item, "kind") in EVENT_KINDS and isinstance(item.get("source"), str)
    return 0.9 if known and ("id" in item or "author_id" in item) else 0.0


def split(data: bytes) -> Iterator[bytes]:
    """See `Format.split`: a record a line."""
    return _cut.documents(data)


def decode(records: pl.DataFrame) -> Decoded:
    """See `Format.decode`."""
    found = judged(_READER.read(records["raw"]), _WHY, _CLASSES)
    whose = pl.col("id").is_not_null() | pl.col("author_id").is_not_null()
    known = pl.col("kind").is_in(list(EVENT_KINDS)) & pl.col("source").is_not_null() & whose
    events = found.filter((pl.col("class") == "control") & known).drop("class", "reason", "fault")
    at = records["received_at"].gather(events["row"]).alias("at")
    return decoded(records, SOURCE, found, events=events.with_columns(at))
