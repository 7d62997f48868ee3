"""Identity: which posts are new, which win, and what everything else in a batch does to them.

The meaning is that of working off the records one after the other in the order of the log
(`tests/pipeline/reference.py` does just that); here it is done for the whole batch in columns, so
that it does not matter where batches are cut.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from earshot.formats import Decoded
from earshot.model.changes import DIRTY, KEY, PROMOTED, REMEMBERED, State
from earshot.model.schema import COUNTERS, TIME, TOMBSTONE, empty
from earshot.pipeline import counters, events, interactions
from earshot.pipeline.counters import NULL, Moments
from earshot.pipeline.hashes import I64, minutes
from earshot.pipeline.keys import numbers, wanted
from earshot.pipeline.sights import UNKNOWN, Flags, Known, Marks, Sights, known, marks, sights
from earshot.pipeline.versions import winners

__all__ = ["Deduped", "dedupe", "wanted"]


@dataclass(frozen=True, slots=True)
class Deduped:
    """What a batch comes to, before anybody has looked at what the posts say."""

    posts: pl.DataFrame
    """STORED, further columns of `Decoded.posts`, and

    * `key`: the number of the post within the batch;
    * `row`: where it is in `Decoded.posts`;
    * `unique`: its record consumes the post for the first time, so it gets marks;
    * `kept`: it is what its post looks like after the batch;
    * `stored`: its post is stored already;
    * `altered`: it has other counters than were decoded, or lost its place.

    Every row is `unique` or `kept` or both."""
    classes: pl.Series
    """`class` of each record, one of FLOW_CLASSES."""
    embedded: pl.DataFrame
    """`record`, `name`: embedded_new or embedded_seen, for each embedded post."""
    texts: pl.Series
    """UInt64: hashes of texts that unique posts had for the first time."""
    tombstones: pl.DataFrame
    """TOMBSTONE."""
    promoted: pl.DataFrame
    """PROMOTED."""
    remembered: pl.DataFrame
    """REMEMBERED: posts that are not stored, and were consumed now."""
    flags: pl.DataFrame
    """FLAG."""
    scrubbed: pl.DataFrame
    """KEY."""
    authors: pl.DataFrame
    """AUTHOR."""
    observations: pl.DataFrame
    """OBSERVATION with `key`."""
    stale: pl.DataFrame
    """DIRTY: minutes whose growth changes because of an older observation."""
    interactions: pl.DataFrame
    """INTERACTION with `object_key`."""
    touched: pl.DataFrame
    """DIRTY: minutes in which stored posts counted that are changed, moved or deleted now."""


def dedupe(decoded: Decoded, records: pl.DataFrame, state: State) -> Deduped:
    """Find what a batch changes: the same wherever batches are cut, every record in one class.

    Args:
        decoded: Its `posts` also have `text_hash` (UInt64), and `version`, `received_at`, `offset`
            of all.
        records: RECORD rows of the batch, in the order of the log.
        state: What the store knows of what is `wanted`.
    """
    said = events.placed(decoded, records)
    keys = numbers(decoded, said, state)
    before = known(state, keys)
    dead = events.deaths(said, keys, state)
    seen = sights(decoded, keys, before, dead)
    marked = marks(seen, decoded, records, state.texts)
    acts = interactions.acts(decoded.interactions, keys.objects, seen, before, dead, state)
    counted = counters.counted(seen, decoded, acts, records, before, keys)
    hidden = events.hiding(said, keys, seen, before)
    scrubs = events.scrubs(said, state)
    dying = events.dying(before, dead)
    won = winners(seen, before)
    stored = _stored(decoded, seen, marked, won.kept, before)
    stored = _with_counters(stored, counted.newest)
    stored = stored.with_columns(hidden=hidden[stored["key"].to_numpy()] == 1)
    gone = np.zeros(len(dead), np.bool_)
    gone[seen.key[won.kept]] = True
    gone[before.key[dying]] = True
    flagged = events.flags(hidden, before, gone)
    scrubbed = events.losing_place(said, before, scrubs, gone)
    stored_already = before.stored[seen.had[won.stays]]
    promoted = _promoted(seen, marked, won.stays[stored_already], before)
    remembered = _promoted(seen, marked, won.stays[~stored_already], before)
    return Deduped(
        posts=events.without_place(stored, scrubs),
        classes=_classes(decoded, seen),
        embedded=_embedded(seen),
        texts=pl.Series("texts", seen.text_hash[marked.new_text]),
        tombstones=events.tombstones(said, _refused(decoded, seen), before.posts[dying], state),
        promoted=promoted[PROMOTED.names()],
        remembered=remembered[REMEMBERED.names()],
        flags=_flags(before, flagged, hidden),
        scrubbed=before.posts[scrubbed][KEY.names()],
        authors=events.authors(said, keys, dead),
        observations=counted.observations,
        stale=counted.stale,
        interactions=acts.kept,
        touched=_touched(before, gone, flagged, scrubbed, promoted),
    )


def _stored(
    decoded: Decoded, seen: Sights, marked: Marks, kept: Flags, before: Known
) -> pl.DataFrame:
    """`Deduped.posts`, before counters and events."""
    chosen = np.flatnonzero(kept | seen.unique)
    row, key, had = seen.row[chosen], seen.key[chosen], seen.had[chosen]
    stored = np.zeros(len(chosen), np.bool_)
    again = np.flatnonzero(had != UNKNOWN)
    stored[again] = before.stored[had[again]]
    posts = decoded.posts
    if len(row) < posts.height or not posts["record"].is_sorted():
        posts = posts[row]
    said = pl.any_horizontal(pl.col(COUNTERS).is_not_null())
    return posts.with_columns(
        **_marks(seen, marked, chosen, before),
        key=key,
        row=row.astype(np.uint32),
        unique=seen.unique[chosen],
        kept=kept[chosen],
        stored=stored,
        altered=pl.lit(value=False),
        counters_at=pl.when(said).then("received_at"),
    )


def _marks(seen: Sights, marked: Marks, chosen: I64, before: Known) -> dict[str, Flags]:
    """`consumed`, `copy`, `late` of each chosen sight: as its post was consumed, now or before."""
    key = seen.key[chosen]
    marks = {"consumed": seen.unique, "copy": marked.copy, "late": marked.late}
    if seen.unique[chosen].all():
        return {name: mark[chosen] for name, mark in marks.items()}
    by_key = np.zeros((len(before.row), len(marks)), np.bool_)
    for place, (name, mark) in enumerate(marks.items()):
        by_key[before.key, place] = (
            before.consumed & before.posts[name].fill_null(value=False).to_numpy()
        )
        by_key[seen.key[seen.unique], place] = mark[seen.unique]
    return dict(zip(marks, by_key[key].T, strict=True))


def _with_counters(stored: pl.DataFrame, newest: Moments) -> pl.DataFrame:
    """Give each row the newest counters of its post."""
    if len(newest.key) == 0:
        return stored
    key = stored["key"].to_numpy()
    place = np.full(max(key.max(initial=0), newest.key.max()) + 1, UNKNOWN)
    place[newest.key] = np.arange(len(newest.key))
    rows = np.flatnonzero(place[key] != UNKNOWN)
    newest = newest[place[key[rows]]]
    at = pl.Series(newest.seen_at).cast(TIME)
    columns = [stored["counters_at"].scatter(rows, at)]
    for counter, values in zip(COUNTERS, newest.values, strict=True):
        told = values != NULL
        if told.any():
            columns.append(stored[counter].scatter(rows[told], values[told]))
    altered = np.zeros(stored.height, np.bool_)
    altered[rows] = True
    return stored.with_columns(*columns, altered=altered)


def _promoted(seen: Sights, marked: Marks, stays: I64, before: Known) -> pl.DataFrame:
    """STATE rows, consumed now, whose content stays."""
    if len(stays) == 0:
        return before.posts[:0]
    return before.posts[seen.had[stays]].with_columns(
        consumed=pl.lit(value=True), copy=marked.copy[stays], late=marked.late[stays]
    )


def _classes(decoded: Decoded, seen: Sights) -> pl.Series:
    """A create is `unique` or `duplicate`; everything else is what it was decoded as."""
    outcome = decoded.outcome
    unique = np.zeros(outcome.height, np.bool_)
    unique[seen.record[seen.unique]] = True
    create = pl.Series(["duplicate", "unique"])[unique.astype(np.uint32)]
    decoded_as = outcome["class"]
    return create.zip_with(decoded_as == "create", decoded_as).alias("class")


def _embedded(seen: Sights) -> pl.DataFrame:
    names = pl.Series(["embedded_seen", "embedded_new"])
    return pl.DataFrame(
        {
            "record": seen.record[seen.embedded].astype(np.uint32),
            "name": names[seen.first[seen.embedded].astype(np.uint32)],
        }
    )


def _refused(decoded: Decoded, seen: Sights) -> pl.DataFrame:
    """TOMBSTONE of the sights of posts that are dead when the batch ends."""
    return decoded.posts[TOMBSTONE.names()][seen.row[~seen.stays]]


def _flags(before: Known, rows: I64, hidden: I64) -> pl.DataFrame:
    """FLAG of these stored posts."""
    posts = before.posts[rows][KEY.names()]
    return posts.with_columns(hidden=hidden[before.key[rows]] == 1)


def _touched(
    before: Known, gone: Flags, flagged: I64, scrubbed: I64, promoted: pl.DataFrame
) -> pl.DataFrame:
    """Minutes of stored posts that counted in a window before the batch, or do so from now on."""
    posts = before.posts
    if posts.is_empty():
        return empty(DIRTY)
    changed, shown = gone[before.key], ~before.hidden
    changed[flagged] = shown[flagged] = changed[scrubbed] = True
    counts = np.flatnonzero(changed & shown & before.stored & before.consumed)
    columns = ["source", "event_time"]
    every = pl.concat([posts[columns][counts], promoted[columns]])
    return minutes(every["source"], every["event_time"])[1]
