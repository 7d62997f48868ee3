"""Rules: what is listened for."""

from pydantic import Field, model_validator

from earshot.api.schemas.common import CURSOR, Moment, Shape, Variant
from earshot.api.schemas.posts import Post

TEXT = '"bike lane" (leipzig OR #leipzig) -is:repost'
MAX_TEXT = 20_000


class RuleIn(Shape):
    """A rule to be made."""

    name: str = Field(min_length=1, max_length=200, examples=["Bicycles"])
    """Unique in the workspace."""
    text: str = Field(min_length=1, max_length=MAX_TEXT, examples=[TEXT])
    """The expression."""


class RulePatch(Shape):
    """What is to change; what is left out stays."""

    name: str | None = Field(None, min_length=1, max_length=200, examples=["Cycling"])
    """The new name."""
    text: str | None = Field(None, min_length=1, max_length=MAX_TEXT, examples=[TEXT])
    """The new expression: makes a new version."""

    @model_validator(mode="after")
    def _something(self) -> "RulePatch":
        if self.name is None and self.text is None:
            msg = "nothing to change: give `name`, `text` or both"
            raise ValueError(msg)
        return self


class RuleVersion(Shape):
    """One version of a rule."""

    version: int = Field(examples=[1])
    """From 1 on."""
    name: str = Field(examples=["Bicycles"])
    """Its name then."""
    text: str = Field(examples=[TEXT])
    """Its expression then, as typed."""
    active_from: Moment
    """Acts on records received from here …"""
    active_until: Moment | None
    """… to here; null: still acts."""


class RuleHits(Shape):
    """The marks of a rule's posts, since the beginning."""

    matched: int = Field(examples=[120])
    """Unique posts that matched."""
    stored: int = Field(examples=[120])
    """Of these, stored."""
    copies: int = Field(examples=[8])
    """Of these, with the text of an earlier post."""
    reposts: int = Field(examples=[31])
    """Of these, reposts."""
    late: int = Field(examples=[0])
    """Of these, received late."""


class Rule(Shape):
    """A rule and what it found."""

    id: int = Field(examples=[12])
    """Number, never given twice."""
    version: int = Field(examples=[1])
    """The newest; it is also the ETag."""
    name: str = Field(examples=["Bicycles"])
    """Unique in the workspace."""
    text: str = Field(examples=[TEXT])
    """The expression, as typed."""
    canonical: str = Field(examples=[TEXT])
    """The expression, formatted."""
    active_from: Moment
    """Since when this version acts."""
    hits: RuleHits
    """What it found."""
    last_hit: Moment | None
    """Event time of its newest stored post; null: none is stored."""


class RuleDetail(Rule):
    """A rule with its history."""

    versions: list[RuleVersion]
    """All versions, newest first."""


class RulesPage(Shape):
    """A page of rules, by name."""

    items: list[Rule]
    """The rules."""
    next: str | None = Field(examples=[CURSOR])
    """Cursor of the page after; null: this is the last."""
    next_url: str | None = Field(examples=[f"/api/v1/rules?cursor={CURSOR}"])
    """The same as an address."""
    total: int = Field(examples=[3])
    """All rules of the workspace."""


class RuleText(Shape):
    """An expression to be checked."""

    text: str = Field(max_length=MAX_TEXT, examples=[TEXT])
    """The expression, as typed so far."""


class RuleCheck(Shape):
    """An expression that can be read (one that cannot is the problem `rule-syntax`)."""

    canonical: str = Field(examples=[TEXT])
    """The expression, formatted."""
    indexed: bool = Field(examples=[True])
    """Whether the index can narrow a search for it; False: every post in the span is looked at."""


class RuleTestIn(Shape):
    """An expression to be tried on stored posts."""

    text: str = Field(min_length=1, max_length=MAX_TEXT, examples=[TEXT])
    """The expression."""
    since: Moment | None = None
    """Event time from here; null: all that is stored."""
    until: Moment | None = None
    """Event time before this."""
    variant: Variant = Field("all", examples=["all"])
    """Which posts count; once: without copies, clean: also without spam."""
    samples: int = Field(10, ge=0, le=10, examples=[10])
    """The most posts to show."""


class RuleTestOut(Shape):
    """What an expression finds among the stored posts."""

    canonical: str = Field(examples=[TEXT])
    """The expression, formatted."""
    posts: int = Field(examples=[52011])
    """Stored posts in the span."""
    hits: int = Field(examples=[118])
    """Of these, found."""
    rate_per_hour: float = Field(examples=[4.9])
    """Hits an hour of event time over the span that was looked at."""
    complete: bool = Field(examples=[True])
    """False: time ran out; `hits` counts what was found until then."""
    since: Moment | None
    """Where the span looked at begins; null: nothing is stored."""
    until: Moment | None
    """Where it ends."""
    samples: list[Post]
    """The newest hits, with what was found marked in `spans`."""
