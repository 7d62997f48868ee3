"""Shapes that several nouns share."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

NOON = "2026-03-01T12:00:00Z"
HALF_PAST = "2026-03-01T12:30:00Z"
CURSOR = "WzE3NzIzNjY0MDAwMDAwMDAsImJsdWVza3kiLCJhdDovL2RpZDpwbGM6YS9wb3N0LzEiXQ"
AS_OF = "k3v9x2.1042"

Moment = Annotated[
    AwareDatetime, Field(description="A moment in UTC, microseconds kept.", examples=[NOON])
]

Variant = Literal["all", "once", "clean"]


class Shape(BaseModel):
    """Base of everything sent or received: unknown members are errors, docstrings are docs."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True
    )


class Gap(Shape):
    """A span in which a source may have lost posts; drawn on charts, shipped with exports."""

    source: str = Field(examples=["bluesky"])
    """The network."""
    connection: str = Field(examples=["bluesky"])
    """Which configured collector."""
    rule: int = Field(examples=[0])
    """The rule it concerns; 0: the whole source."""
    since: Moment
    """When it began."""
    until: Moment
    """When it ended."""
    reason: str = Field(examples=["disconnect"])
    """disconnect, rate_limit, clamped_cursor, crash, quarantine, log_full or slow."""
    detail: str = Field(examples=["the host closed the connection"])
    """One sentence for people."""


class ErrorItem(Shape):
    """One thing that is wrong with the input."""

    pointer: str = Field(examples=["/body/text"])
    """Where: a JSON pointer into body, query, path or header."""
    code: str = Field(examples=["unclosed-quote"])
    """Short name of what is wrong."""
    detail: str = Field(examples=["this quotation mark is never closed"])
    """What is wrong, for people."""
    hint: str = Field("", examples=['add a closing "'])
    """How to mend it; may be empty."""
    offset: int | None = Field(None, examples=[4])
    """For the rule language: offset in characters (code points) of the expression."""
    length: int | None = Field(None, examples=[1])
    """How many characters the place spans, at least 1."""


class Problem(Shape):
    """Problem details (RFC 9457): the body of every answer that is not a success."""

    type: str = Field(examples=["/problems/rule-syntax"])
    """A page that explains this kind of problem."""
    title: str = Field(examples=["The rule cannot be read"])
    """The kind of problem, always the same sentence for one `code`."""
    status: int = Field(examples=[422])
    """The HTTP status."""
    detail: str = Field(examples=["this quotation mark is never closed"])
    """What happened here, and the remedy."""
    instance: str = Field(examples=["8f14e45fceea167a"])
    """The request's id, also in the header X-Request-Id and in the log."""
    code: str = Field(examples=["rule-syntax"])
    """The kind as a word for programs."""
    errors: list[ErrorItem] = Field(default_factory=list)
    """All that is wrong with the input."""
    retry_after: float | None = Field(None, examples=[2.0])
    """Seconds to wait before trying again (429 and 503)."""
    current: dict[str, object] | None = Field(None, examples=[{"version": 3}])
    """On an edit conflict: what is there now."""
