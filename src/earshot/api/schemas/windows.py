"""Numbers over time: series, facets, top lists."""

from typing import Literal

from pydantic import Field

from earshot.api.schemas.common import AS_OF, Gap, Moment, Shape, Variant

Width = Literal["1m", "5m", "1h", "60m", "1d"]
Step = Literal["auto", "1m", "5m", "1h", "1d"]
Measure = Literal["posts", "authors", "score"]


class Series(Shape):
    """One line of a chart."""

    key: str = Field(examples=["rule:12"])
    """`all`, `rule:<id>`, a source, or both: `rule:<id>|<source>`."""
    rule: int = Field(examples=[12])
    """The rule; 0: all posts."""
    source: str = Field(examples=["*"])
    """The source; `*`: all sources."""
    values: list[float | None] = Field(examples=[[12, 15, 9]])
    """One a bucket, as long as `t`; 0: nothing was found; null: not known yet."""


class SeriesSet(Shape):
    """Time series as columns."""

    t: list[int] = Field(examples=[[1772366400, 1772366460, 1772366520]])
    """Start of each bucket, in Unix seconds; evenly `step` apart."""
    series: list[Series]
    """One a line."""
    step: int = Field(examples=[60])
    """Width of a bucket in seconds."""
    measure: Measure = Field(examples=["posts"])
    """What is counted. `score` in thousandths."""
    variant: Variant = Field(examples=["all"])
    """Which posts count."""
    partial: bool = Field(examples=[True])
    """Whether the last bucket is still open: draw it dashed."""
    gaps: list[Gap]
    """Gaps that overlap the span."""
    as_of: str = Field(examples=[AS_OF])
    """Head of the change feed before the query."""


class TopRow(Shape):
    """One row of a top list."""

    rank: int = Field(examples=[1])
    """From 1 on, without ties: posts, then authors, then the value's bytes."""
    value: str = Field(examples=["leipzig"])
    """The facet's value."""
    posts: int = Field(examples=[41])
    """Posts in the window."""
    authors: int = Field(examples=[37])
    """Distinct authors."""
    score: float = Field(examples=[18.4])
    """Weighted growth of the counters."""
    previous_rank: int | None = Field(examples=[4])
    """Rank in the window before; null: it was not among the first 1,000."""
    change: int | None = Field(examples=[3])
    """Places gained (negative: lost); null: it is new."""


class Top(Shape):
    """A top list of one window."""

    facet: str = Field(examples=["hashtag"])
    """What is ranked."""
    window: Width = Field(examples=["60m"])
    """1m, 5m, 1h and 1d are aligned; 60m slides by the minute."""
    since: Moment
    """Where the window begins."""
    until: Moment
    """Where it ends."""
    rule: int = Field(examples=[0])
    """The rule; 0: all posts."""
    source: str = Field(examples=["*"])
    """The source; `*`: all."""
    variant: Variant = Field(examples=["all"])
    """Which posts count."""
    partial: bool = Field(examples=[False])
    """Whether the window is still open."""
    items: list[TopRow]
    """The rows."""
    gaps: list[Gap]
    """Gaps that overlap the window."""
    as_of: str = Field(examples=[AS_OF])
    """Head of the change feed before the query."""


class Facets(Shape):
    """What may be asked for."""

    facets: list[str] = Field(examples=[["hashtag", "mention", "word", "domain"]])
    """Values of `facet`."""
    windows: list[str] = Field(examples=[["1m", "5m", "1h", "60m", "1d"]])
    """Values of `window`."""
    variants: list[str] = Field(examples=[["all", "once", "clean"]])
    """Values of `variant`."""
