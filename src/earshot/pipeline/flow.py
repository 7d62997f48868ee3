"""The way of a batch: decode ▸ dedupe ▸ annotate ▸ match ▸ enrich; windows are made of its result.

What the store knows is asked for in between, by whoever drives:

    prepared = prepare(records)                                  decode, tokens
    matched = matched(prepared, compiled_rules, options)       annotate, enrich, match
    state = store.state(prepared.wanted)
    state = with_texts(state, store.known_texts(prepared.text_hashes))
    flowed = run(matched, state, options)                        dedupe, what it changes
    store.commit(flowed.changes, ...)

Up to `run` nothing depends on what is known, so one batch can be read and matched while the one
before it is committed. `run` matches again those few posts that the state has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from earshot.formats import Decoded, decode
from earshot.model.changes import DIRTY, KEY, REMEMBERED, Changes, State, Wanted
from earshot.model.document import document
from earshot.model.schema import INTERACTION, OBSERVATION, QUARANTINE, STORED
from earshot.model.tags import tags, with_rules
from earshot.model.tokens import Tokens, tokenize
from earshot.pipeline.annotate import annotate, take
from earshot.pipeline.counts import counts
from earshot.pipeline.dedupe import Deduped, dedupe, wanted
from earshot.pipeline.enrich import Enricher, enrich
from earshot.pipeline.hashes import minutes
from earshot.pipeline.near import bands
from earshot.rules import CompiledRules, match

__all__ = ["Annotated", "Changes", "FlowOptions", "Flowed", "Matched", "Prepared"]
__all__ += ["annotated", "matched", "prepare", "prepare_decoded", "run", "with_texts"]


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """How a batch is worked off."""

    keep: Literal["all", "matched"] = "all"
    """Store every post, or those that hit a rule; what is stored already stays and is kept right.
    """
    enricher: Enricher | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that was read, before anybody asked what is known of it."""

    records: pl.DataFrame
    """RECORD."""
    decoded: Decoded
    """Its posts have `text_hash` besides."""
    documents: pl.Series
    """Of `decoded.posts`: what the tokens are of."""
    tokens: Tokens
    wanted: Wanted
    """What `Store.state` is to be asked for."""
    text_hashes: pl.Series
    """UInt64: what `Store.known_texts` is to be asked for."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """Posts with all that they say."""

    posts: pl.DataFrame
    """POST and further columns."""
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Matched:
    """A batch of which all is found out that can be without asking what is known of it."""

    prepared: Prepared
    compiled: CompiledRules
    """What it was matched with."""
    posts: pl.DataFrame
    """`decoded.posts`, annotated and enriched, and `index` and `bands` (see `Changes.posts`)."""
    hits: pl.DataFrame
    """As `Flowed.hits`, of these posts."""


@dataclass(frozen=True, slots=True)
class Flowed:
    """What a batch came to."""

    changes: Changes
    """What the store has to do."""
    posts: pl.DataFrame
    """STORED: the posts of `changes`, without index and tags; and unique ones that are not stored,
    because they were deleted or edited in the same batch, or hit no rule."""
    tokens: Tokens
    """Of `posts`."""
    written: pl.Series
    """Which of `posts` those of `changes` are; in the same order."""
    hits: pl.DataFrame
    """`post` (row of `posts`), `rule`, `rule_version`."""
    classes: pl.Series
    """`class` of each record, one of FLOW_CLASSES."""
    embedded: Mapping[str, int]
    """embedded_new, embedded_seen."""
    embedded_in: pl.DataFrame
    """`record`, `name`: each embedded post, as `embedded` counts it."""


def prepare(records: pl.DataFrame) -> Prepared:
    """Decode a batch, cut its posts into tokens, and say what has to be known of it."""
    return prepare_decoded(records, decode(records))


def prepare_decoded(records: pl.DataFrame, decoded: Decoded) -> Prepared:
    """As `prepare`, of a batch that was decoded already."""
    documents = document(decoded.posts)
    tokens = tokenize(documents, index=True)
    record = decoded.posts["record"]
    posts = decoded.posts.with_columns(
        records["received_at"].gather(record),
        records["offset"].gather(record),
        pl.col("version").fill_null(0),
        text_hash=pl.Series(tokens.text_hash),
    )
    asked = posts["text_hash"].filter(posts["role"] == "create").unique()
    texts = asked.filter(asked != 0)
    decoded = replace(decoded, posts=posts)
    return Prepared(records, decoded, documents, tokens, wanted(decoded), texts)


def with_texts(state: State, texts: pl.Series) -> State:
    """The state, with what `Store.known_texts` said."""
    return replace(state, texts=texts)


def annotated(prepared: Prepared) -> Annotated:
    """Annotate all posts of a batch, whatever is known of them."""
    posts = annotate(prepared.decoded.posts, prepared.documents, prepared.tokens)
    return Annotated(posts, prepared.tokens)


def matched(prepared: Prepared, compiled: CompiledRules, options: FlowOptions) -> Matched:
    """Annotate, enrich and match all posts of a batch, whatever is known of them."""
    tokens = prepared.tokens
    posts = annotate(prepared.decoded.posts, prepared.documents, tokens)
    posts = enrich(posts, tokens, options.enricher)
    hits = match(compiled, posts, tokens)
    repost = (posts["kind"] == "repost").fill_null(value=False)
    posts = posts.with_columns(tokens.index.alias("index"), bands(tokens, repost))
    return Matched(prepared, compiled, posts, hits)


def run(matched: Matched, state: State, options: FlowOptions) -> Flowed:
    """Work off a batch, given what was known before; everything it changes is in the result."""
    prepared = matched.prepared
    decoded = replace(prepared.decoded, posts=matched.posts)
    deduped = dedupe(decoded, prepared.records, state)
    tokens, hits = _chosen(matched, deduped.posts["row"])
    hits = _rematched(matched.compiled, deduped.posts, tokens, hits)
    posts = _judged(deduped.posts, hits, options)
    return Flowed(
        changes=_changes(prepared, deduped, posts, hits),
        posts=posts[STORED.names()],
        tokens=tokens,
        written=posts["kept"] & posts["stays"],
        hits=hits,
        classes=deduped.classes,
        embedded=dict(deduped.embedded["name"].value_counts().iter_rows()),
        embedded_in=deduped.embedded,
    )


def _chosen(matched: Matched, rows: pl.Series) -> tuple[Tokens, pl.DataFrame]:
    """The tokens and hits of the posts that go on."""
    tokens, hits, every = matched.prepared.tokens, matched.hits, matched.posts.height
    if len(rows) == every and rows.is_sorted():
        return tokens, hits
    place = np.full(every, -1, np.int64)
    place[rows.to_numpy()] = np.arange(len(rows))
    moved = pl.Series("post", place[hits["post"].to_numpy()])
    hits = hits.with_columns(moved).filter(moved >= 0).cast({"post": pl.UInt32})
    return take(tokens, rows.to_numpy()), hits if rows.is_sorted() else hits.sort(hits.columns)


def _rematched(
    compiled: CompiledRules, posts: pl.DataFrame, tokens: Tokens, hits: pl.DataFrame
) -> pl.DataFrame:
    """Match those posts anew that are not any more what they were when they were matched."""
    changed = posts["altered"]
    if compiled.marks:
        changed |= posts["copy"] | posts["late"]
    if not changed.any():
        return hits
    rows = changed.arg_true().to_numpy()
    again = match(compiled, posts[rows], take(tokens, rows))
    again = again.with_columns(post=pl.Series(rows[again["post"].to_numpy()]))
    stays = ~changed.gather(hits["post"])
    return pl.concat([hits.filter(stays), again]).sort(hits.columns)


def _judged(posts: pl.DataFrame, hits: pl.DataFrame, options: FlowOptions) -> pl.DataFrame:
    """Add `matched`, and `stays`: whether it may be stored, after all that is known of it."""
    matched = np.zeros(posts.height, np.bool_)
    matched[hits["post"].to_numpy()] = True
    found = pl.Series("matched", matched)
    stays = pl.repeat(value=True, n=posts.height, eager=True)
    if options.keep == "matched":
        stays = found | posts["stored"]
    return posts.with_columns(found, stays.alias("stays"))


def _changes(
    prepared: Prepared, deduped: Deduped, posts: pl.DataFrame, hits: pl.DataFrame
) -> Changes:
    """Put together what the store has to do."""
    written = posts["kept"] & posts["stays"]
    left = posts.filter(posts["kept"] & ~posts["stays"]) if not posts["stays"].all() else posts[:0]
    stored = _indexed(posts, hits)
    stored = stored if written.all() else stored.filter(written)
    seen, acts = deduped.observations, deduped.interactions
    if left.height:
        gone = left["key"].implode()
        seen = seen.filter(~pl.col("key").is_in(gone))
        acts = acts.filter(~pl.col("object_key").is_in(gone).fill_null(value=False))
    return Changes(
        posts=stored,
        hits=_hits(posts, written, hits),
        tombstones=deduped.tombstones,
        flags=deduped.flags,
        scrubbed=deduped.scrubbed,
        authors=deduped.authors,
        observations=seen[OBSERVATION.names()],
        interactions=acts[INTERACTION.names()],
        counts=_counts(prepared, deduped, posts, hits),
        quarantine=_quarantine(prepared),
        dirty=_dirty(deduped, stored, seen),
        promoted=deduped.promoted,
        replaced=posts[KEY.names()].filter(written & posts["stored"]),
        remembered=pl.concat([left[REMEMBERED.names()], deduped.remembered]),
        texts=deduped.texts,
    )


def _indexed(posts: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    tagged = with_rules(tags(posts), hits["post"], hits["rule"])
    return posts.with_columns(tags=tagged)[[*STORED, "index", "tags", "bands"]]


def _hits(posts: pl.DataFrame, written: pl.Series, hits: pl.DataFrame) -> pl.DataFrame:
    """HIT of the posts that are written."""
    if not written.all():
        hits = hits.filter(written.gather(hits["post"]))
    return posts[KEY.names()][hits["post"]].hstack(hits[["rule", "rule_version"]])


def _counts(
    prepared: Prepared, deduped: Deduped, posts: pl.DataFrame, hits: pl.DataFrame
) -> pl.DataFrame:
    unique = posts["unique"]
    marked = pl.DataFrame(
        {
            "record": posts["record"],
            "matched": posts["matched"],
            "stored": posts["stays"],
            "copies": posts["copy"],
            "reposts": (posts["kind"] == "repost").fill_null(value=False),
            "late": posts["late"],
        }
    )
    found = hits[["post", "rule"]]
    if not unique.all():
        place = unique.cast(pl.UInt32).cum_sum() - 1
        found = found.filter(unique.gather(found["post"]))
        found = found.with_columns(place.gather(found["post"]).alias("post"))
        marked = marked.filter(unique)
    several = (found["post"] == found["post"].shift()) & (found["rule"] == found["rule"].shift())
    if several.any():  # versions of a rule that act one after the other never meet
        found = found.filter(~several.fill_null(value=False))
    return counts(prepared.records, deduped.classes, deduped.embedded, marked, found)


def _quarantine(prepared: Prepared) -> pl.DataFrame:
    outcome = prepared.decoded.outcome
    bad = outcome.filter(outcome["class"] == "quarantined")
    return prepared.records[bad["record"]].hstack(bad[["reason"]])[QUARANTINE.names()]


def _dirty(deduped: Deduped, stored: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """All minutes whose windows are not right any more."""
    visible = stored["consumed"] & ~stored["hidden"]
    posts = stored if visible.all() else stored[["source", "event_time"]].filter(visible)
    parts = [
        minutes(posts["source"], posts["event_time"])[1],
        minutes(seen["source"], seen["minute"])[1],
        deduped.touched,
        deduped.stale,
    ]
    return pl.concat([p[DIRTY.names()] for p in parts]).unique()
