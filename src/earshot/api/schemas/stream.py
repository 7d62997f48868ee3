"""Data of the events of the live stream; each event's `id` is `epoch.seq` of the change feed."""

from pydantic import Field

from earshot.api.schemas.common import AS_OF, Gap, Moment, Shape
from earshot.api.schemas.posts import Post


class StreamHello(Shape):
    """`hello`: the first event of every connection."""

    server_time: Moment
    """The server's clock."""
    build: str = Field(examples=["0.1.0"])
    """Version of the server."""
    heartbeat_s: int = Field(examples=[10])
    """Seconds between two ticks."""
    oldest: str = Field(examples=["k3v9x2.1"])
    """The oldest id that a reconnect can resume after."""
    head: str = Field(examples=[AS_OF])
    """The newest id."""


class StreamPosts(Shape):
    """`posts`: new or edited posts; at most 4 such events a second."""

    items: list[Post]
    """At most 50, newest first. `spans` is empty: it belongs to a search."""
    more: int = Field(examples=[0])
    """How many more there were: list them with the posts API."""


class StreamKey(Shape):
    """The key of a post."""

    source: str = Field(examples=["bluesky"])
    """The network."""
    id: str = Field(examples=["at://did:plc:a/app.bsky.feed.post/1"])
    """As the network writes it."""


class StreamCorrection(Shape):
    """`correction`: posts to take off the page, or to fetch again."""

    removed: list[StreamKey]
    """Deleted or hidden: nothing of them may stay on screen."""
    changed: list[StreamKey]
    """Shown again, or without their place now: fetch them when they are on screen."""


class StreamWindows(Shape):
    """`windows`: totals of windows that changed; absolute, so a repeat or a loss heals itself."""

    items: list["StreamWindow"]
    """The windows."""


class StreamWindow(Shape):
    """The totals of one window."""

    t: int = Field(examples=[1772366400])
    """Its start in Unix seconds."""
    step: int = Field(examples=[60])
    """Its width in seconds."""
    source: str = Field(examples=["*"])
    """The source; `*`: all."""
    rule: int = Field(examples=[0])
    """The rule; 0: all posts."""
    posts: int = Field(examples=[41])
    """Posts."""
    authors: int = Field(examples=[37])
    """Distinct authors."""
    score: int = Field(examples=[1800])
    """Score in thousandths."""


class StreamGap(Shape):
    """`gap`: gaps that were just noted."""

    items: list[Gap]
    """The gaps."""


class StreamRules(Shape):
    """`rules`: rules were made, edited or deleted; fetch the list again."""

    stamp: int = Field(examples=[18])
    """Grows with every change."""


class StreamLagged(Shape):
    """`lagged`: this reader was too slow and missed posts."""

    skipped: int = Field(examples=[120])
    """How many events were dropped."""
    since: str = Field(examples=[AS_OF])
    """Id of the last event before them …"""
    until: str = Field(examples=["k3v9x2.1162"])
    """… and of the last one dropped."""


class StreamReset(Shape):
    """`reset`: the place to resume at is not kept any more; fetch everything again."""

    reason: str = Field(examples=["too-old"])
    """too-old, new-store or unreadable."""
    oldest: str = Field(examples=["k3v9x2.900"])
    """The oldest id that can be resumed after."""


class StreamTick(Shape):
    """`tick`: the heartbeat, each 10 seconds."""

    server_time: Moment
    """The server's clock."""
    event_age_seconds: float | None = Field(examples=[0.4])
    """Age of the newest record that was worked off."""
    posts_per_second: float | None = Field(examples=[940.2])
    """The engine's rate."""
    lag_records: int | None = Field(examples=[3])
    """Records in the log that are not worked off."""
    engine: bool = Field(examples=[True])
    """Whether the engine is alive."""


EVENTS: dict[str, type[Shape]] = {
    "hello": StreamHello,
    "posts": StreamPosts,
    "correction": StreamCorrection,
    "windows": StreamWindows,
    "gap": StreamGap,
    "rules": StreamRules,
    "lagged": StreamLagged,
    "reset": StreamReset,
    "tick": StreamTick,
}
"""Name of the event → the shape of its data."""
