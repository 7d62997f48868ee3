"""Interactions are a set: each raises a counter of its object once, its removal takes it back."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from earshot.formats import Decoded
from earshot.model.changes import State
from earshot.model.schema import INTERACTION
from earshot.pipeline.keys import COUNTED, author_key, key
from earshot.pipeline.sights import ALWAYS, with_deaths

RAISED: Final = tuple(COUNTED.values())
DELTA: Final = pl.Schema({"key": pl.String, "record": pl.UInt32, **dict.fromkeys(RAISED, pl.Int64)})


@dataclass(frozen=True, slots=True)
class Acts:
    """What the interactions of a batch come to."""

    kept: pl.DataFrame
    """INTERACTION with `object_key`: rows to keep, or with `removed` to forget."""
    deltas: pl.DataFrame
    """DELTA: by how much a record raised (or lowered) the counters of the post `key`."""


def acts(decoded: Decoded, rows: pl.DataFrame, state: State, deaths: pl.DataFrame) -> Acts:
    """Find the interactions that are new, and the removals of known ones.

    An interaction counts where its object is known by then; twice the same counts once.

    Args:
        decoded: The batch.
        rows: Sights.
        state: What was known before.
        deaths: `key`, `dead`, see `events.deaths`.
    """
    found = decoded.interactions.filter(pl.col("kind").is_in(list(COUNTED)) | pl.col("removed"))
    if found.is_empty():
        return Acts(pl.DataFrame(schema={**INTERACTION, "object_key": pl.String}), empty_deltas())
    lives = _lives(rows, state, deaths)
    tried = (
        found.with_columns(act=key("key"), object_key=key("object"))
        .join(lives, left_on="object_key", right_on="key", how="left", maintain_order="left")
        .filter(pl.col("removed") | _lives_at("record"))
        .sort("record", maintain_order=True)
    )
    if tried.is_empty():
        return Acts(tried.select(*INTERACTION, "object_key"), empty_deltas())
    before = state.interactions.with_columns(
        act=key("key"),
        object_key=key("object"),
        removed=pl.lit(value=False),
        record=pl.lit(None, pl.UInt32),
    ).filter(pl.col("act").is_in(tried["act"].implode()))
    columns = ("record", "act", "object_key", *INTERACTION)
    done = _effective(pl.concat([before.select(columns), tried.select(columns)]))
    return Acts(_kept(done), _deltas(done, lives))


def empty_deltas() -> pl.DataFrame:
    """DELTA without rows."""
    return pl.DataFrame(schema=DELTA)


def _lives(rows: pl.DataFrame, state: State, deaths: pl.DataFrame) -> pl.DataFrame:
    """`key`, `since`, `dead`: from which record to which a stored post can be an object."""
    had = state.posts.filter(~pl.col("tombstone") & pl.col("event_time").is_not_null())
    before = with_deaths(had.select(key=key(), author_key=author_key()), deaths)
    now = rows.filter("first").select("key", "dead", since=pl.col("record").cast(pl.Int64))
    return pl.concat([before.select("key", "dead", since=pl.lit(ALWAYS, pl.Int64)), now])


def _lives_at(record: str) -> pl.Expr:
    ended = pl.col("dead") <= pl.col(record)
    return (pl.col("since") <= pl.col(record)) & ~ended.fill_null(value=False)


def _effective(timeline: pl.DataFrame) -> pl.DataFrame:
    """Keep what changes the set; a removal gets the kind and object of what it removes.

    A creation of what is there, and a removal of what is not there, change nothing.

    Args:
        timeline: What was kept before (without `record`), then the batch in the order of the log.
    """
    earlier = pl.col("removed").shift().over("act")
    changes = (pl.col("removed") != earlier).fill_null(~pl.col("removed"))
    taken = ("kind", "object", "object_key")
    return (
        timeline.filter(changes)
        .with_columns(pl.when(~pl.col("removed")).then(c).alias(c) for c in taken)
        .with_columns(pl.col(taken).forward_fill().over("act"))
    )


def _kept(done: pl.DataFrame) -> pl.DataFrame:
    """The rows of those interactions that end otherwise than they began."""
    known = done.filter(pl.col("record").is_null()).select("act")
    last = done.unique("act", keep="last", maintain_order=True).filter(
        pl.col("record").is_not_null()
    )
    return pl.concat(
        [
            last.filter(pl.col("removed")).join(known, on="act", how="semi", maintain_order="left"),
            last.filter(~pl.col("removed")).join(
                known, on="act", how="anti", maintain_order="left"
            ),
        ]
    ).select(*INTERACTION, "object_key")


def _deltas(done: pl.DataFrame, lives: pl.DataFrame) -> pl.DataFrame:
    """By how much each record changed the counters of a post that lives."""
    step = pl.when("removed").then(-1).otherwise(1).cast(pl.Int64)
    return (
        done.filter(pl.col("record").is_not_null())
        .join(lives, left_on="object_key", right_on="key", maintain_order="left")
        .filter(_lives_at("record"))
        .select(
            "record",
            *(
                pl.when(pl.col("kind") == kind).then(step).otherwise(0).alias(counter)
                for kind, counter in COUNTED.items()
            ),
            key="object_key",
        )
        .select(DELTA.names())
    )
