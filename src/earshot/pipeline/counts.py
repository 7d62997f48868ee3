"""Flow counters of a batch: every record in one class, and marks on unique posts."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from earshot.model.schema import COUNT, FLOW_CLASSES, MARKS
from earshot.pipeline.hashes import minutes, number

EMBEDDED: Final = ("embedded_new", "embedded_seen")
_NAMES: Final = (*FLOW_CLASSES, *EMBEDDED, *MARKS)
_NAME: Final = pl.Enum(_NAMES)
_MARKS_FROM: Final = _NAMES.index(MARKS[0])

Numbers = NDArray[np.int64]


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
    numbers, spots = minutes(records["source"], records["received_at"])
    spot = numbers.astype(np.int64)
    hit_rules = hits["rule"].to_numpy().astype(np.uint64)
    rule, first = number(hit_rules)
    rules, rule = hit_rules[first], rule.astype(np.int64)
    own, post = spot[marked["record"].to_numpy()], hits["post"].to_numpy()
    marks = [marked[name].to_numpy() for name in MARKS]
    parts: list[tuple[Numbers, Numbers | int, Numbers | int]] = [
        (spot, _codes(classes), 0),
        (spot[embedded["record"].to_numpy()], _codes(embedded["name"]), 0),
    ]
    for name, mark in enumerate(marks, _MARKS_FROM):
        hit = mark[post]
        parts += [(own[mark], name, 0), (own[post[hit]], name, rule[hit] + 1)]
    cells = np.concatenate([_cells(*part, len(rules) + 1) for part in parts])
    cell, first = number(cells.astype(np.uint64))
    rest, of = np.divmod(cells[first], len(rules) + 1)
    at, named = np.divmod(rest, len(_NAMES))
    rows = spots[at].with_columns(
        rule=np.concatenate((np.zeros(1, np.uint64), rules))[of],
        name=pl.Series(_NAMES)[named],
        n=np.bincount(cell),
    )
    return rows[COUNT.names()].cast({"rule": pl.Int64, "n": pl.Int64})


def _codes(names: pl.Series) -> Numbers:
    return names.cast(_NAME).to_physical().to_numpy().astype(np.int64)


def _cells(spot: Numbers, name: Numbers | int, rule: Numbers | int, rules: int) -> Numbers:
    """One number for (spot, name, rule)."""
    return (spot * len(_NAMES) + name) * rules + rule
