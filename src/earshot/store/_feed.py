"""The change feed: what a page that looks on has to know of each batch, bounded in every way.

A `posts` change names the newest posts of the batch, and of each rule the newest few, by where
they lie; what they say is put in when the change is read. So the feed stays small, and the text of
a post that was deleted since is in it no more. Corrections are complete, in as many changes as
they need.
"""

from dataclasses import dataclass
from typing import Any, Final

import apsw
import msgspec
import numpy as np
import polars as pl

from earshot.disk import rows
from earshot.model.changes import KEY
from earshot.model.schema import CHANGE, COUNTERS, GAP
from earshot.store._rows import frame, read_spots

SHOWN: Final = 50
"""The newest posts of a batch that a change holds …"""
SHOWN_OF_RULE: Final = 3
"""… the newest of each rule …"""
SHOWN_OF_RULES: Final = 150
"""… but no more than these of all rules together."""
CORRECTED: Final = 1000
"""The most keys of one correction."""
KEEP_S: Final = 600
KEEP_ROWS: Final = 50_000
KEEP_BYTES: Final = 64 << 20
ISO: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"
MINIMAL: Final = (
    "source",
    "id",
    "kind",
    "title",
    "text",
    "event_time",
    "version",
    "author_id",
    "author_handle",
    "author_name",
    "author_verified",
    "lang",
    "lang_detected",
    "reply_to",
    "reply_to_handle",
    "quote_of",
    "repost_of",
    "channel",
    "permalink",
    "hashtags",
    "links",
    "media",
    "sensitive",
    "consumed",
    *COUNTERS,
)
"""Columns of a post that a page needs to paint it; `rules` comes beside them."""

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Feed:
    """The writer's end: knows what it holds, so that trimming reads nothing."""

    oldest: int
    next: int
    bytes: int

    @classmethod
    def of(cls, db: apsw.Connection) -> "Feed":
        """The feed as it stands."""
        ((oldest, newest, held),) = rows(
            db, "SELECT min(seq), max(seq), coalesce(sum(length(payload)), 0) FROM changes"
        )
        return cls(oldest or 1, (newest or 0) + 1, held)

    def copy(self) -> "Feed":
        """The same, to be changed while a transaction may still fail."""
        return Feed(self.oldest, self.next, self.bytes)

    def put(self, db: apsw.Connection, at: int, kind: str, rules: list[int], payload: Any) -> None:  # noqa: ANN401 - JSON
        """Append one change."""
        text = payload if isinstance(payload, str) else _encode(payload).decode()
        values = (self.next, at, kind, _encode(rules).decode(), text)
        db.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", values)
        self.next, self.bytes = self.next + 1, self.bytes + len(text)

    def trim(self, db: apsw.Connection, at: int) -> None:
        """Drop what is too old or too much; the newest change always stays."""
        walk = db.execute("SELECT seq, at, length(payload) FROM changes ORDER BY seq")
        for seq, then, size in walk:
            too_much = self.next - seq > KEEP_ROWS or self.bytes > KEEP_BYTES
            if seq + 1 >= self.next or not (too_much or then < at - KEEP_S * 1_000_000):
                break
            self.oldest, self.bytes = seq + 1, self.bytes - size
        walk.close()
        db.execute("DELETE FROM changes WHERE seq < ?", (self.oldest,))


def put_posts(db: apsw.Connection, feed: Feed, at: int, new: pl.Series, hits: pl.DataFrame) -> None:
    """Tell of new posts.

    Args:
        db: Inside the batch's transaction.
        feed: The writer's end.
        at: Now, in µs.
        new: Where they lie, in order.
        hits: HIT with `spot`, of these and other posts.
    """
    if len(new) == 0:
        return
    matched = hits.filter(pl.Series(np.isin(hits["spot"].to_numpy(), new.to_numpy())))
    newest = new.sort(descending=True).head(SHOWN)
    of_rules = matched.sort("spot", descending=True).group_by("rule", maintain_order=True)
    few = of_rules.head(SHOWN_OF_RULE)["spot"].unique().sort(descending=True)
    shown = pl.concat([newest, few.head(SHOWN_OF_RULES)]).unique().sort(descending=True)
    payload = {"n": len(new), "spots": shown.to_list()}
    feed.put(db, at, "posts", matched["rule"].unique().sort().to_list(), payload)


def put_corrections(
    db: apsw.Connection, feed: Feed, at: int, removed: pl.DataFrame, changed: pl.DataFrame
) -> None:
    """Tell of posts that are gone, and of posts to fetch again; never of what they said."""
    for name, keys in (("removed", removed), ("changed", changed)):
        for part in keys.select(KEY.names()).iter_slices(CORRECTED):
            payload = {"removed": [], "changed": [], name: part.rows()}
            feed.put(db, at, "correction", [], payload)


def put_gaps(db: apsw.Connection, feed: Feed, at: int, gaps: pl.DataFrame) -> None:
    """Tell of new gaps."""
    told = gaps.select("seq", *GAP.names()).with_columns(pl.col("since", "until").dt.strftime(ISO))
    for gap in told.to_dicts():
        feed.put(db, at, "gap", [gap["rule"]] if gap["rule"] else [], gap)


class _Named(msgspec.Struct):
    """What a `posts` change is in the table."""

    n: int
    spots: list[int]


def changes(db: apsw.Connection, after: int, limit: int) -> pl.DataFrame:
    """CHANGE rows behind `after`; those of posts with what is stored of these now."""
    found = rows(
        db,
        "SELECT seq, at, kind, rules, payload FROM changes WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
    )
    text = pl.Schema({**CHANGE, "rules": pl.String()})
    read = frame([_told(db, change) for change in found], text)
    return read.with_columns(pl.col("rules").str.json_decode(CHANGE["rules"]))


def _told(db: apsw.Connection, change: tuple[Any, ...]) -> tuple[Any, ...]:
    seq, at, kind, rules, payload = change
    if kind != "posts":
        return change
    named = msgspec.json.decode(payload, type=_Named)
    posts = read_spots(db, np.array(named.spots, np.int64))
    posts = posts.filter(~pl.col("hidden")).reverse()
    keys = _encode(posts.select(KEY.names()).rows()).decode()
    body = ",".join(minimal(posts).to_list())
    return seq, at, kind, rules, f'{{"n":{named.n},"keys":{keys},"posts":[{body}]}}'


def minimal(posts: pl.DataFrame) -> pl.Series:
    """What a page needs to paint each post (STORED + `rules`), as JSON objects."""
    columns = pl.struct(pl.col("event_time").dt.strftime(ISO), pl.exclude("event_time"))
    return posts.select(*MINIMAL, "rules").select(columns.struct.json_encode()).to_series()


def ends(db: apsw.Connection) -> tuple[str, int, int]:
    """Epoch, oldest and newest seq; of an empty feed, 1 and 0."""
    ((epoch, oldest, newest),) = rows(
        db,
        """SELECT (SELECT value FROM own WHERE key = 'epoch'),
            (SELECT min(seq) FROM changes), (SELECT max(seq) FROM changes)""",
    )
    return epoch, oldest or 1, newest or 0
