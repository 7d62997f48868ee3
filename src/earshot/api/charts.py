"""Series and top lists, as the routes ask for them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from earshot.api.problems import ProblemError
from earshot.engine.windows import series_of, top_of
from earshot.model.index import Span
from earshot.store import Store

WIDTHS: Final = {"1m": 60, "5m": 300, "1h": 3600, "60m": 3600, "1d": 86400}
STEPS: Final = (60, 300, 3600, 86400)
MOST_BUCKETS: Final = 400
HISTORY: Final = 1000
"""How many rows of the window before are looked at for the former rank."""
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which lines of a chart are wanted."""

    since: dt.datetime | None
    until: dt.datetime | None
    now: dt.datetime
    step: str
    rules: Sequence[int]
    source: str | None
    by_source: bool
    measure: str
    variant: str = "all"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: as many values as there are buckets."""

    key: str
    rule: int
    source: str
    values: list[float | None]


@dataclass(frozen=True, slots=True)
class Lines:
    """All lines of a chart over the same buckets."""

    t: list[int]
    series: list[Line]
    step: int
    partial: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Ranked:
    """A top list: rank, value, posts, authors, score, previous_rank, change."""

    since: dt.datetime
    until: dt.datetime
    rows: pl.DataFrame


def series(store: Store, asked: Asked) -> Lines:
    """Read the lines; buckets in which nothing was found are 0.

    Raises:
        ProblemError: `invalid-input` when that many buckets fit no chart.
    """
    until = asked.until or asked.now
    since = asked.since or until - dt.timedelta(hours=1)
    step = _step(asked.step, since, until)
    first, end = _floor(since, step), _ceil(until, step)
    t = list(range(_seconds(first), _seconds(end), step))
    lines: list[Line] = []
    for rule in asked.rules:
        frame = series_of(
            store, step, first, end, source=asked.source, rule=rule, variant=asked.variant
        )
        lines += _lines(frame, rule, asked, t)
    return Lines(t, lines, step, end > asked.now, Span(since, until))


def top(  # noqa: PLR0913 - one question, its parts
    store: Store,
    facet: str,
    window: str,
    at: dt.datetime,
    *,
    source: str | None,
    rule: int,
    variant: str,
    limit: int,
) -> Ranked:
    """Rank a facet's values in the window that ends at `at`, and in the one before it.

    A sliding window (60m) ends with the minute of `at`; the others are the aligned window that
    `at` lies in or ends.
    """
    width = WIDTHS[window]
    until = _ceil(at, 60 if window == "60m" else width)
    since = until - dt.timedelta(seconds=width)

    def ask(end: dt.datetime, most: int) -> pl.DataFrame:
        return top_of(
            store, facet, width, end, source=source, rule=rule, variant=variant, limit=most
        )

    rows = ask(until, limit)
    before = ask(since, HISTORY).select("value", previous_rank="rank")
    joined = rows.join(before, on="value", how="left", maintain_order="left").select(
        "rank",
        "value",
        "posts",
        "authors",
        score=pl.col("score") / 1000,
        previous_rank=pl.col("previous_rank").cast(pl.Int64),
        change=pl.col("previous_rank").cast(pl.Int64) - pl.col("rank").cast(pl.Int64),
    )
    return Ranked(since, until, joined)


def _lines(frame: pl.DataFrame, rule: int, asked: Asked, t: list[int]) -> list[Line]:
    buckets = pl.DataFrame({"t": t}, schema={"t": pl.Int64})
    frame = frame.with_columns(t=pl.col("start").dt.epoch("s"))
    lines = []
    names = sorted(frame["source"].unique()) if asked.by_source else [asked.source or "*"]
    for source in names:
        own = frame.filter(pl.col("source") == source) if asked.by_source else frame
        values = buckets.join(
            own.group_by("t").agg(pl.col(asked.measure).sum()),
            on="t",
            how="left",
            maintain_order="left",
        )[asked.measure].fill_null(0)
        lines.append(Line(_key(rule, source), rule, source, values.to_list()))
    return lines


def _key(rule: int, source: str) -> str:
    named = [f"rule:{rule}"] * (rule != 0) + [source] * (source != "*")
    return "|".join(named) or "all"


def _step(step: str, since: dt.datetime, until: dt.datetime) -> int:
    seconds = (until - since).total_seconds()
    if step == "auto":
        return next((s for s in STEPS if seconds / s <= MOST_BUCKETS - 2), STEPS[-1])
    width = WIDTHS[step]
    if seconds / width > MOST_BUCKETS:
        many = f"That is {seconds / width:,.0f} buckets; a chart holds {MOST_BUCKETS}."
        raise ProblemError("invalid-input", f"{many} Use a wider `step`.")
    return width


def _floor(moment: dt.datetime, step: int) -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=_seconds(moment) // step * step)


def _ceil(moment: dt.datetime, step: int) -> dt.datetime:
    floor = _floor(moment, step)
    return floor if floor == moment else floor + dt.timedelta(seconds=step)


def _seconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(seconds=1)
