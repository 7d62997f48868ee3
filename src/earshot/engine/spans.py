"""Ask windows about any span: the widest blocks that fit, and minutes at the edges."""

import datetime as dt
from typing import Final

import polars as pl

from earshot.clock import from_micros, micros
from earshot.engine.rollups import FIVE_MINUTES, HOUR, runs, windows_of
from earshot.errors import UsageError
from earshot.model.schema import FACETS, TIME, VARIANTS
from earshot.pipeline.page import page_of
from earshot.pipeline.top import TOP, top, totals
from earshot.pipeline.window import MINUTE, roll
from earshot.store import Store, WindowBlock

STEPS: Final = (MINUTE, FIVE_MINUTES, HOUR, 86400)
"""Widths that a series may have, in seconds."""
WIDTHS: Final = (HOUR, FIVE_MINUTES, MINUTE)
"""Of windows in the store; those of 5 minutes hold of rules only the totals."""
SERIES: Final = pl.Schema(
    {
        "start": TIME,
        "source": pl.String(),
        "posts": pl.Int64(),
        "authors": pl.Int64(),
        "score": pl.Int64(),  # thousandths
    }
)
_US: Final = 1_000_000


def top_of(  # noqa: PLR0913 - one question, its parts
    store: Store,
    facet: str,
    width: int,
    at: dt.datetime,
    *,
    source: str | None = None,
    rule: int = 0,
    variant: str = "all",
    limit: int = 10,
) -> pl.DataFrame:
    """The leading values of a facet in the window of `width` seconds that ends at `at`.

    Windows begin and end with a minute: a time within a minute stands for the end of it.

    Args:
        store: To be read.
        facet: One of FACETS.
        width: Seconds, whole minutes.
        at: End of the window.
        source: One network; None: all, whose authors are different people.
        rule: 0: all posts.
        variant: One of VARIANTS.
        limit: Most rows.

    Returns:
        TOP: rank, value, posts, authors, score (thousandths), in order of rank.

    Raises:
        UsageError: No such facet, variant or width.
    """
    _known("facet", facet, FACETS)
    _known("variant", variant, VARIANTS)
    if width < MINUTE or width % MINUTE:
        msg = f"a window of {width} seconds is not made of whole minutes"
        raise UsageError(msg, hint="60, 300, 3600, …")
    until = from_micros(-(-micros(at) // (MINUTE * _US)) * MINUTE * _US)
    since = until - dt.timedelta(seconds=width)
    widths = WIDTHS if rule == 0 or facet == "total" else (HOUR, MINUTE)
    blocks = _covering(store, since, until, source=source, rule=rule, widths=widths)
    if not blocks or limit < 1:
        return pl.DataFrame(schema=TOP)
    found = windows_of(blocks, rule=rule, facet=facet).blocks
    return top(found, facet, limit=limit, variant=variant)


def series_of(  # noqa: PLR0913 - one question, its parts
    store: Store,
    step: int,
    since: dt.datetime,
    until: dt.datetime,
    *,
    source: str | None = None,
    rule: int = 0,
    variant: str = "all",
) -> pl.DataFrame:
    """Posts, distinct authors and score of each stretch of `step` seconds, by source.

    Args:
        store: To be read.
        step: One of STEPS; stretches begin at multiples of it (days: in UTC).
        since: The first stretch is the one that holds this.
        until: The last one holds the moment before this.
        source: One network; None: all, a row each (authors of several may be added up).
        rule: 0: all posts.
        variant: One of VARIANTS.

    Returns:
        SERIES, in order of start and source; no rows for stretches without anything.

    Raises:
        UsageError: No such step or variant.
    """
    _known("step", step, STEPS)
    _known("variant", variant, VARIANTS)
    since = _floor(since, step)
    end = from_micros(-_floor_us(-micros(until), step))
    if step == MINUTE and variant == "all":
        rows = store.series(width=step, since=since, until=end, source=source, rule=rule)
    else:
        widths = tuple(width for width in WIDTHS if width <= step)
        blocks = _covering(store, since, end, source=source, rule=rule, widths=widths)
        if not blocks:
            return pl.DataFrame(schema=SERIES)
        merged = roll([windows_of(blocks, rule=rule, facet="total")], step)
        rows = pl.concat([merged.keys, totals(merged.blocks, variant)], how="horizontal")
    return (
        rows.select(SERIES.names())
        .match_to_schema(SERIES, integer_cast="upcast")
        .sort("start", "source")
    )


def _covering(  # noqa: PLR0913 - one question, its parts
    store: Store,
    since: dt.datetime,
    until: dt.datetime,
    *,
    source: str | None,
    rule: int,
    widths: tuple[int, ...],
) -> list[WindowBlock]:
    """Blocks that hold [since, until) exactly once: wide where there is one, else narrower."""
    covered = pl.DataFrame(schema={"width": pl.Int64, "start": TIME, "source": pl.String})
    blocks: list[WindowBlock] = []
    for width in widths:
        first, last = -_floor_us(-micros(since), width), _floor_us(micros(until), width)
        if first >= last:
            continue
        span = {"since": from_micros(first), "until": from_micros(last)}
        there = store.series(width=width, source=source, rule=rule, **span)
        wanted = there.select(pl.lit(width, pl.Int64).alias("width"), "start", "source")
        for wide in covered["width"].unique():
            held = covered.filter(pl.col("width") == wide).select("start", "source", "width")
            floor = pl.col("start").dt.truncate(f"{wide}s")
            wanted = wanted.with_columns(wide=floor).join(
                held, left_on=["wide", "source"], right_on=["start", "source"], how="anti"
            ).drop("wide")  # fmt: skip
        blocks += _read(store, width, wanted, rule)
        covered = pl.concat([covered, wanted])
    return blocks


def _read(store: Store, width: int, wanted: pl.DataFrame, rule: int) -> list[WindowBlock]:
    """These blocks, asked for in runs without holes."""
    blocks = []
    for source, since, until in runs(wanted.select("start", "source"), width):
        for lies_in in (rule, page_of(rule)) if rule and width == MINUTE else (rule,):
            blocks += store.windows(
                width=width, since=since, until=until, source=source, rule=lies_in
            )
    return blocks


def _floor_us(us: int, width: int) -> int:
    return us // (width * _US) * (width * _US)


def _floor(moment: dt.datetime, width: int) -> dt.datetime:
    return from_micros(_floor_us(micros(moment), width))


def _known(what: str, given: object, known: tuple[object, ...]) -> None:
    if given not in known:
        msg = f"unknown {what} {given!r}"
        raise UsageError(msg, hint=f"known: {', '.join(str(k) for k in known)}")
