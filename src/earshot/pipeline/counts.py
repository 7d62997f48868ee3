"""Flow counters of a batch: every record in one class, and marks on unique posts."""

import polars as pl

from earshot.model.schema import COUNT, MARKS

_BY = ("minute", "source", "rule")


def counts(
    records: pl.DataFrame,
    classes: pl.Series,
    embedded: pl.DataFrame,
    marked: pl.DataFrame,
    hits: pl.DataFrame,
) -> pl.DataFrame:
    """COUNT rows of a batch, by minute of `received_at` and source of the record.

    Args:
        records: RECORD rows of the batch.
        classes: One of FLOW_CLASSES for each record.
        embedded: `record`, `name`: embedded_new or embedded_seen.
        marked: `record` and MARKS (Boolean) of unique posts.
        hits: `post` (row of `marked`), `rule`; each pair once.
    """
    stamps = records.select(
        "source", minute=pl.col("received_at").dt.truncate("1m"), rule=pl.lit(0, pl.Int64)
    )
    flow = [
        _named(stamps.with_columns(name=classes)),
        _named(stamps[embedded["record"]].with_columns(name=embedded["name"])),
    ]
    own = stamps[marked["record"]].hstack(marked.select(MARKS))
    by_rule = own[hits["post"]].with_columns(rule=hits["rule"])
    return pl.concat([*flow, _marks(own), _marks(by_rule)])


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(*_BY, "name").agg(n=pl.len().cast(pl.Int64)).select(COUNT.names())


def _marks(rows: pl.DataFrame) -> pl.DataFrame:
    """How many rows of each group have each mark, where any has."""
    return (
        rows.group_by(_BY)
        .agg(pl.col(MARKS).sum().cast(pl.Int64))
        .unpivot(MARKS, index=_BY, variable_name="name", value_name="n")
        .filter(pl.col("n") > 0)
        .select(COUNT.names())
    )
