"""Is collection whole? Counts, gaps, sources, quarantine."""

from typing import Literal

from pydantic import Field

from earshot.api.schemas.common import Gap, Moment, Shape


class Marks(Shape):
    """What may be true of a unique post, any number of them."""

    matched: int = Field(examples=[120])
    """Match a rule."""
    stored: int = Field(examples=[900])
    """Are stored."""
    copies: int = Field(examples=[40])
    """Have the text of an earlier post."""
    reposts: int = Field(examples=[210])
    """Are reposts."""
    late: int = Field(examples=[2])
    """Were received late."""


class FlowCounts(Marks):
    """What became of the records; the seven classes add up to `consumed`."""

    consumed: int = Field(examples=[1000])
    """Records worked off."""
    unique: int = Field(examples=[900])
    """Creates whose key was new."""
    duplicate: int = Field(examples=[20])
    """Creates whose key was known."""
    updates: int = Field(examples=[10])
    """Edits."""
    deletes: int = Field(examples=[15])
    """Deletes."""
    interactions: int = Field(examples=[40])
    """Likes, reposts, follows and their removals."""
    control: int = Field(examples=[14])
    """Other events, known non-posts, Earshot's own records."""
    quarantined: int = Field(examples=[1])
    """Records that could not be read."""
    embedded_new: int = Field(examples=[30])
    """Embedded posts whose key was new."""
    embedded_seen: int = Field(examples=[12])
    """Embedded posts whose key was known."""
    expired: int = Field(examples=[0])
    """Posts that retention removed."""


class Counts(FlowCounts):
    """The flow's counters; flat, then by source and by rule."""

    by_source: dict[str, FlowCounts]
    """The same for each source."""
    by_rule: dict[str, Marks]
    """The marks by the rule's name."""


class GapsPage(Shape):
    """Gaps, newest first."""

    items: list[Gap]
    """The gaps."""
    next: str | None = Field(examples=[None])
    """Cursor of the page after; null: this is the last."""
    next_url: str | None = Field(examples=[None])
    """The same as an address."""


class SourceState(Shape):
    """How one connection to a network is doing."""

    connection: str = Field(examples=["bluesky"])
    """Its name in the configuration."""
    source: str = Field(examples=["bluesky"])
    """The network."""
    state: str = Field(examples=["live"])
    """connecting, live, catching_up, waiting, held, quiet, failed, done or stopped."""
    detail: str = Field(examples=["jetstream.us-east.bsky.network, v2"])
    """One sentence for people."""
    restarts: int | None = Field(examples=[0])
    """How often it failed and was started again."""
    last_event_at: Moment | None
    """When the last record came in."""
    age_seconds: float | None = Field(examples=[0.4])
    """How long ago that is."""
    rate: float | None = Field(examples=[812.5])
    """Records a second, over the last minute or so."""
    lag_seconds: float | None = Field(examples=[1.2])
    """How far its position is behind the present, as the network's own times say."""
    records: int | None = Field(examples=[120415])
    """Records taken in since it was started."""
    updated_at: Moment | None
    """When it reported this."""


class Sources(Shape):
    """All connections, by name."""

    items: list[SourceState]
    """The connections."""


class Quarantined(Shape):
    """A record that could not be read."""

    offset: int = Field(examples=[5120])
    """Its place in the log."""
    source: str = Field(examples=["x"])
    """The network."""
    connection: str = Field(examples=["archive:tweets"])
    """Which collector or archive."""
    format: str = Field(examples=["x_v1"])
    """The format it was said to be in."""
    received_at: Moment
    """When it was taken in."""
    key: str = Field(examples=["tweets.jsonl:88"])
    """File and line of an archive; may be empty."""
    reason: str = Field(examples=["unexpected end of JSON"])
    """Why it could not be read."""
    raw: str = Field(examples=['{"id": 1, "text": "cut o'])
    """Its first 2,000 bytes, as text with replacement characters."""
    size: int = Field(examples=[1822])
    """Its length in bytes."""


class QuarantinePage(Shape):
    """Records that could not be read, in order."""

    items: list[Quarantined]
    """The records."""
    next: str | None = Field(examples=["5120"])
    """Cursor of the page after; null: this is the last."""
    next_url: str | None = Field(examples=["/api/v1/quarantine?cursor=5120"])
    """The same as an address."""


class ReplayIn(Shape):
    """Which records to read again."""

    offsets: list[int] = Field(min_length=1, max_length=1000, examples=[[5120, 5121]])
    """Their places in the log."""


class Check(Shape):
    """One thing that must hold for the service to be ready."""

    name: Literal["engine", "disk", "log", "store", "control"] = Field(examples=["engine"])
    """What was looked at."""
    ok: bool = Field(examples=[True])
    """Whether it is well."""
    detail: str = Field(examples=["3 records behind, 0.2 s"])
    """What was found, and the remedy when it is not well."""


class Readiness(Shape):
    """Whether the service can do its work."""

    ready: bool = Field(examples=[True])
    """All checks are well."""
    checks: list[Check]
    """Each check by name."""


class Health(Shape):
    """The process answers."""

    ok: Literal[True] = Field(examples=[True])
    """Always true."""
    build: str = Field(examples=["0.1.0"])
    """Version of the server."""


class Kept(Shape):
    """What is kept, and for how long."""

    posts: Literal["all", "matched"] = Field(examples=["all"])
    """All posts, or only those that match a rule."""
    days: float = Field(examples=[7.0])
    """Days after they were received."""
    gigabytes: float = Field(examples=[5.0])
    """Size of the store at which the oldest go first."""


class Engine(Shape):
    """What the engine says of itself; a null is not known."""

    running: bool = Field(examples=[True])
    """A process works on this home."""
    trouble: str | None = Field(examples=["/data/store.db: the disk is full: free some space"])
    """Why it makes no progress and what to do about it; null: it works."""
    started_at: Moment | None
    """When it was started."""
    updated_at: Moment | None
    """When it noted this."""
    batches: int | None = Field(examples=[812])
    """Batches since the start."""
    records: int | None = Field(examples=[812000])
    """Records since the start."""
    posts_per_second: float | None = Field(examples=[940.2])
    """Rate over the last while."""
    lag_records: int | None = Field(examples=[3])
    """Records in the log that are not worked off."""
    event_lag_seconds: float | None = Field(examples=[0.3])
    """Age of the newest worked-off record."""
    rss_mb: float | None = Field(examples=[412.0])
    """Resident memory in MB."""
    stage_us: dict[str, float] = Field(examples=[{"decode": 4.1, "match": 0.7}])
    """Microseconds a record, by stage."""


class System(Shape):
    """What runs here, and what it holds."""

    build: str = Field(examples=["0.1.0"])
    """Version of the server."""
    engine: Engine
    """The engine."""
    keep: Kept
    """What is kept."""
    oldest: Moment | None
    """Event time of the oldest stored post."""
    newest: Moment | None
    """Event time of the newest stored post."""
    store_bytes: int = Field(examples=[81264640])
    """Size of the store."""
    log_bytes: int = Field(examples=[12582912])
    """Size of the log."""
    log_oldest: int = Field(examples=[0])
    """The oldest offset in the log."""
    log_head: int = Field(examples=[120415])
    """The offset of the next record."""
