"""Posts as clients see them: the fields of `earshot.model.schema.POST`, the same names."""

from typing import Literal

from pydantic import Field

from earshot.api.schemas.common import AS_OF, CURSOR, Gap, Moment, Shape


class Link(Shape):
    """A link in a post."""

    url: str = Field(examples=["https://t.co/x"])
    """As written."""
    expanded: str | None = Field(examples=["https://www.example.org/a?utm_source=x"])
    """As the network expands it."""
    canonical: str | None = Field(examples=["https://www.example.org/a"])
    """Without fragment and tracking parameters."""
    domain: str | None = Field(examples=["example.org"])
    """Its host without "www."."""


class Media(Shape):
    """A picture, video or sound of a post."""

    kind: str | None = Field(examples=["image"])
    """image, video, gif, audio or other."""
    url: str | None = Field(examples=["https://cdn.example.org/1.jpg"])
    """Where it is; never loaded by the app itself."""
    alt: str | None = Field(examples=["a red bicycle"])
    """Description for those who cannot see it."""


class Span(Shape):
    """A stretch of `text` or `title` that the expression found."""

    field: Literal["text", "title"] = Field(examples=["text"])
    """Which field."""
    offset: int = Field(ge=0, examples=[4])
    """First character, counted in code points (not UTF-16 units)."""
    length: int = Field(ge=1, examples=[7])
    """How many characters."""


class PostKey(Shape):
    """Which post is meant."""

    source: str = Field(examples=["bluesky"])
    """The network."""
    id: str = Field(examples=["at://did:plc:a/app.bsky.feed.post/1"])
    """As the network writes it."""


class Family(Shape):
    """Posts of one day (UTC) with nearly the same text; known when the day was settled."""

    first: PostKey | None
    """The first of them, which may be the post itself; null: it is stored no more."""
    size: int = Field(ge=2, examples=[14])
    """How many they are."""


class Post(Shape):
    """Anything a person published. A null is "the network did not say"; [] is "none"."""

    source: str = Field(examples=["bluesky"])
    """The network; with `id` the key."""
    id: str = Field(examples=["at://did:plc:a/app.bsky.feed.post/1"])
    """As the network writes it."""
    kind: str = Field(examples=["post"])
    """post, reply, repost, quote, comment, submission, event or rsvp."""
    title: str | None = Field(examples=[None])
    """Of submissions and events."""
    text: str | None = Field(examples=["New bicycle lanes in #Leipzig"])
    """Plain text; may hold any character, so never treat it as HTML."""
    event_time: Moment
    """`created_at`, or `received_at` where the claim is absent or impossible."""
    created_at: Moment | None
    """The network's claim."""
    received_at: Moment
    """When it was taken in."""
    edited_at: Moment | None
    """The last edit."""
    version: int = Field(examples=[0])
    """Grows with edits: of two copies of a post, the greater version is the newer."""
    author_id: str | None = Field(examples=["did:plc:a"])
    """As the network writes it."""
    author_handle: str | None = Field(examples=["ada.example.org"])
    """Without @."""
    author_name: str | None = Field(examples=["Ada"])
    """Display name."""
    author_bio: str | None = Field(examples=["Cycling, maps."])
    """Profile text."""
    author_location: str | None = Field(examples=["Leipzig"])
    """Free text of the profile."""
    author_followers: int | None = Field(examples=[1204])
    """At post time."""
    author_verified: bool | None = Field(examples=[False])
    """As the network says it."""
    author_bot: bool | None = Field(examples=[None])
    """As the network says it."""
    lang: str | None = Field(examples=["en"])
    """As the network says it: BCP 47 primary tag."""
    lang_detected: str | None = Field(examples=[None])
    """As found by Earshot."""
    reply_to: str | None = Field(examples=[None])
    """Id of the post this answers."""
    reply_to_author: str | None = Field(examples=[None])
    """Id of that post's author."""
    reply_to_handle: str | None = Field(examples=[None])
    """Handle of that post's author."""
    quote_of: str | None = Field(examples=[None])
    """Id of the quoted post."""
    repost_of: str | None = Field(examples=[None])
    """Id of the reposted post."""
    root: str | None = Field(examples=[None])
    """Id of the first post of the thread."""
    conversation: str | None = Field(examples=[None])
    """The network's conversation id, else `root`."""
    channel: str | None = Field(examples=[None])
    """Subreddit, Meetup group or Mastodon instance."""
    permalink: str | None = Field(examples=["https://bsky.app/profile/did:plc:a/post/1"])
    """Where it stands on the network; only http(s)."""
    hashtags: list[str] | None = Field(examples=[["Leipzig"]])
    """Without #."""
    mentions: list[str] | None = Field(examples=[[]])
    """Handles without @ (Bluesky: DIDs)."""
    cashtags: list[str] | None = Field(examples=[[]])
    """Without $."""
    links: list[Link] | None
    """Links in order."""
    media: list[Media] | None
    """Media in order."""
    place: str | None = Field(examples=[None])
    """Name of the place."""
    country: str | None = Field(examples=[None])
    """ISO 3166-1 alpha-2, upper case."""
    latitude: float | None = Field(examples=[None])
    """Degrees."""
    longitude: float | None = Field(examples=[None])
    """Degrees."""
    place_from: str | None = Field(examples=[None])
    """Where the place is known from: post, venue, group or profile."""
    likes: int | None = Field(examples=[12])
    """As last seen."""
    reposts: int | None = Field(examples=[3])
    """As last seen."""
    replies: int | None = Field(examples=[1])
    """As last seen; Reddit's comments too."""
    quotes: int | None = Field(examples=[0])
    """As last seen."""
    views: int | None = Field(examples=[None])
    """As last seen."""
    score: int | None = Field(examples=[None])
    """Reddit's score as last seen."""
    counters_at: Moment | None
    """When the counters were seen."""
    visibility: str | None = Field(examples=["public"])
    """public or unlisted."""
    sensitive: bool | None = Field(examples=[False])
    """Marked sensitive by its author or the network."""
    client: str | None = Field(examples=[None])
    """The program it was written with."""
    copy_: bool = Field(alias="copy", examples=[False])
    """An earlier post has the same normalised text."""
    late: bool = Field(examples=[False])
    """Received over 10 minutes after `event_time`."""
    family: Family | None
    """Its near-duplicate family; null: it has none, or its day is not settled yet."""
    rules: list[int] = Field(examples=[[12]])
    """Rules that matched it, visible in this workspace."""
    spans: list[Span]
    """What `q` found in it; empty without `q`."""


class PostsPage(Shape):
    """A page of posts."""

    items: list[Post]
    """The posts, in order."""
    next: str | None = Field(examples=[CURSOR])
    """Cursor of the page after; null: nothing comes after."""
    next_url: str | None = Field(examples=[f"/api/v1/posts?q=bicycle&cursor={CURSOR}"])
    """The same as an address; also in the header Link."""
    prev: str | None = Field(examples=[None])
    """Cursor of the page before; null: this is the first."""
    as_of: str = Field(examples=[AS_OF])
    """Head of the change feed before the query: follow the stream with `after=` this."""
    complete: bool = Field(examples=[True])
    """False: time ran out before the page was full; `next` goes on from there."""
    total: int | None = Field(None, examples=[412])
    """All matches, when `count=exact` was asked for; null: not asked, or not known in time."""
    gaps: list[Gap]
    """Gaps that overlap the span of this page's filter (the newest 100)."""


class Applied(Shape):
    """What became of a change that went through the log."""

    offset: int = Field(examples=[120415])
    """Its place in the log."""
    applied: bool = Field(examples=[True])
    """True: stored data shows it now. False: it is accepted and safe, and acts once the engine
    gets there."""
