"""The way of a batch: decode ▸ dedupe ▸ annotate ▸ match ▸ enrich; windows are made of its result.

What the store knows is asked for in between, by whoever drives:

    prepared = prepare(records)                                  decode, tokens
    state = store.state(prepared.wanted)
    state = with_texts(state, store.known_texts(prepared.text_hashes))
    flowed = run(prepared, state, compiled_rules, options)       dedupe, annotate, match, enrich
    store.commit(flowed.changes, ...)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from earshot.formats import Decoded, decode
from earshot.model.changes import DIRTY, KEY, REMEMBERED, Changes, State, Wanted
from earshot.model.document import document
from earshot.model.schema import HIT, INTERACTION, MARKS, OBSERVATION, QUARANTINE, STORED
from earshot.model.tags import tags, with_rules
from earshot.model.tokens import Tokens, tokenize
from earshot.pipeline.annotate import annotate, take
from earshot.pipeline.counts import counts
from earshot.pipeline.dedupe import Deduped, dedupe, wanted
from earshot.pipeline.enrich import Enricher, enrich
from earshot.rules import CompiledRules, match

__all__ = ["Annotated", "Changes", "FlowOptions", "Flowed", "Prepared"]
__all__ += ["annotated", "prepare", "prepare_decoded", "run", "with_texts"]


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
class Flowed:
    """What a batch came to."""

    changes: Changes
    """What the store has to do."""
    posts: pl.DataFrame
    """STORED: the posts of `changes`, without index and tags; and unique ones that are not stored,
    because they were deleted or edited in the same batch, or hit no rule."""
    tokens: Tokens
    """Of `posts`."""
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
    posts = decoded.posts.with_columns(text_hash=pl.Series(tokens.text_hash))
    decoded = replace(decoded, posts=posts)
    asked = posts.filter((pl.col("role") == "create") & (pl.col("text_hash") != 0))
    texts = asked["text_hash"].unique()
    return Prepared(records, decoded, documents, tokens, wanted(decoded), texts)


def with_texts(state: State, texts: pl.Series) -> State:
    """The state, with what `Store.known_texts` said."""
    return replace(state, texts=texts)


def annotated(prepared: Prepared) -> Annotated:
    """Annotate all posts of a batch, whatever is known of them."""
    posts = annotate(prepared.decoded.posts, prepared.documents, prepared.tokens)
    return Annotated(posts, prepared.tokens)


def run(prepared: Prepared, state: State, compiled: CompiledRules, options: FlowOptions) -> Flowed:
    """Work off a batch, given what was known before; everything it changes is in the result."""
    deduped = dedupe(prepared.decoded, prepared.records, state)
    documents, tokens = _chosen(prepared, deduped.posts)
    posts = annotate(deduped.posts, documents, tokens)
    hits = match(compiled, posts, tokens)
    posts = enrich(posts, tokens, options.enricher)
    if options.enricher is not None and compiled.late:
        hits = match(compiled, posts, tokens)
    posts = _judged(posts, hits, options)
    return Flowed(
        changes=_changes(prepared, deduped, Annotated(posts, tokens), hits),
        posts=posts.select(STORED.names()),
        tokens=tokens,
        hits=hits,
        classes=deduped.classes,
        embedded=dict(deduped.embedded["name"].value_counts().iter_rows()),
        embedded_in=deduped.embedded,
    )


def _chosen(prepared: Prepared, posts: pl.DataFrame) -> tuple[pl.Series, Tokens]:
    """The documents and tokens of the posts that go on."""
    rows, every = posts["row"], prepared.decoded.posts.height
    if len(rows) == every and rows.is_sorted():
        return prepared.documents, prepared.tokens
    return prepared.documents.gather(rows), take(prepared.tokens, rows.to_numpy())


def _judged(posts: pl.DataFrame, hits: pl.DataFrame, options: FlowOptions) -> pl.DataFrame:
    """Add `matched`, and `stays`: whether it may be stored, after all that is known of it."""
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    posts = posts.with_columns(matched=row.is_in(hits["post"].unique().implode()))
    stays = pl.lit(value=True) if options.keep == "all" else pl.col("matched") | pl.col("stored")
    return posts.with_columns(stays=stays)


def _changes(prepared: Prepared, deduped: Deduped, found: Annotated, hits: pl.DataFrame) -> Changes:
    """Put together what the store has to do."""
    posts = found.posts
    written = posts["kept"] & posts["stays"]
    left = posts.filter(posts["kept"] & ~posts["stays"]) if not posts["stays"].all() else posts[:0]
    stored = _indexed(posts, found.tokens, hits)
    stored = stored if written.all() else stored.filter(written)
    hit = _hits(posts, hits)
    seen = deduped.observations.join(left, on="key", how="anti", maintain_order="left")
    acts = deduped.interactions.join(
        left, left_on="object_key", right_on="key", how="anti", maintain_order="left"
    )
    return Changes(
        posts=stored,
        hits=hit.filter("kept", "stays").select(HIT.names()),
        tombstones=deduped.tombstones,
        flags=deduped.flags,
        scrubbed=deduped.scrubbed,
        authors=deduped.authors,
        observations=seen.select(OBSERVATION.names()),
        interactions=acts.select(INTERACTION.names()),
        counts=_counts(prepared, deduped, posts, hits),
        quarantine=_quarantine(prepared),
        dirty=_dirty(deduped, stored, seen),
        promoted=deduped.promoted,
        remembered=pl.concat([left.select(REMEMBERED.names()), deduped.remembered]),
        texts=deduped.texts,
    )


def _indexed(posts: pl.DataFrame, tokens: Tokens, hits: pl.DataFrame) -> pl.DataFrame:
    tagged = with_rules(tags(posts), hits["post"], hits["rule"])
    return posts.select(*STORED, index=tokens.index, tags=tagged)


def _hits(posts: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    """HIT with `kept` and `stays` of the post."""
    of_post = posts.select(*KEY, "kept", "stays")[hits["post"]]
    return of_post.hstack(hits.select("rule", "rule_version"))


def _counts(
    prepared: Prepared, deduped: Deduped, posts: pl.DataFrame, hits: pl.DataFrame
) -> pl.DataFrame:
    marks = {
        "matched": pl.col("matched"),
        "stored": pl.col("stays"),
        "copies": pl.col("copy"),
        "reposts": (pl.col("kind") == "repost").fill_null(value=False),
        "late": pl.col("late"),
    }
    row = pl.int_range(pl.len(), dtype=pl.UInt32).alias("post")
    marked = posts.select("record", "unique", row, **{m: marks[m] for m in MARKS})
    marked = marked.filter("unique")
    place = marked.select("post").with_row_index("place")
    found = hits.select("post", "rule").unique().join(place, on="post")
    return counts(
        prepared.records, deduped.classes, deduped.embedded, marked,
        found.select("rule", post="place"),
    )  # fmt: skip


def _quarantine(prepared: Prepared) -> pl.DataFrame:
    bad = prepared.decoded.outcome.filter(pl.col("class") == "quarantined")
    return prepared.records[bad["record"]].hstack(bad.select("reason")).select(QUARANTINE.names())


def _dirty(deduped: Deduped, stored: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """All minutes whose windows are not right any more."""
    visible = stored.filter(pl.col("consumed") & ~pl.col("hidden"))
    minute = pl.col("event_time").dt.truncate("1m")
    parts = [
        visible.select("source", minute=minute),
        seen.select("source", "minute"),
        deduped.touched,
        deduped.stale,
    ]
    return pl.concat([p.select(DIRTY.names()) for p in parts]).unique()
