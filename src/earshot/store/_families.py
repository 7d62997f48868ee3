"""Near-duplicate families: bands beside the posts, and families of each day once it is settled.

Bands come in blocks, one for each batch and day: spots, then the bands of each. What is written
later about a spot holds; bands of zeros say that nothing is there any more. Families lie in blocks,
too, in order of spot: where each member lies, where its family's first post lies, and its size.
"""
# ruff: noqa: S608 - SQL is put together from names of our own only

from typing import Final

import apsw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from earshot.disk import rows
from earshot.model.changes import FAMILY, KEY, UNSETTLED
from earshot.model.hashing import buffers
from earshot.pipeline.near import BAND_BYTES, NEAR_VERSION, components
from earshot.store._find import stored
from earshot.store._keys import I64, SLOTS, hashes, span_of, spots
from earshot.store._rows import AT_SPOTS, frame, numbers

Bytes = NDArray[np.uint8]
CHUNK: Final = 1024
"""Members of one block of families."""
DAY_MS: Final = 86_400_000
DAY_US: Final = DAY_MS * 1000


# -- with each batch -----------------------------------------------------------------------
def put_bands(db: apsw.Connection, posts: pl.DataFrame, gone: I64, flagged: I64) -> None:
    """Keep the bands of a batch, and note the days whose families are to be settled again.

    Args:
        db: Inside a transaction.
        posts: What was written, in order of `spot`, with `bands` as of `Changes.posts`.
        gone: Spots that posts were taken from, be it to write them again.
        flagged: Spots of posts that were hidden or shown.
    """
    ends, data = buffers(posts["bands"])
    places = posts["spot"].to_numpy()[np.diff(ends) > 0]
    gone = np.sort(gone)
    new = data[ends[0] : ends[-1]].reshape(-1, BAND_BYTES)
    days, gone_days = _days(places), _days(gone)
    said = np.unique(np.concatenate([days, gone_days]))
    for day in said.tolist():
        old, now = (slice(*np.searchsorted(d, [day, day + 1])) for d in (gone_days, days))
        nothing = bytes(BAND_BYTES * (old.stop - old.start))
        spot = np.concatenate([gone[old], places[now]]).tobytes()
        block = (day, NEAR_VERSION, spot, nothing + new[now].tobytes())
        db.execute("INSERT INTO bands VALUES (NULL, ?, ?, ?, ?)", block)
    db.executemany(
        """INSERT INTO days VALUES (?, 1, 0)
        ON CONFLICT DO UPDATE SET changed = changed + 1""",
        ((day,) for day in np.union1d(said, _days(flagged)).tolist()),
    )


def _days(places: I64) -> I64:
    """The day of each spot, counted from 1970 on."""
    day: I64 = places // (SLOTS * DAY_MS)
    return day


def _span(day: int) -> tuple[int, int]:
    """The first and the last spot of a day."""
    return span_of(day * DAY_MS)[0], span_of((day + 1) * DAY_MS - 1)[1]


# -- settling ------------------------------------------------------------------------------
def unsettled(db: apsw.Connection, before: int) -> pl.DataFrame:
    """See `Store.unsettled`; `before` counts days from 1970 on."""
    found = rows(
        db,
        """SELECT day, changed FROM days WHERE changed > settled AND day < ?1
        AND NOT EXISTS (SELECT 1 FROM frozen WHERE minute >= day * ?2 AND minute < (day + 1) * ?2)
        ORDER BY day""",
        (before, DAY_US),
    )
    return pl.DataFrame(found, {"day": pl.Int32, "changed": pl.Int64}, orient="row").cast(UNSETTLED)


def found_in(db: apsw.Connection, day: int) -> tuple[int, list[bytes]]:
    """What the bands of a day say: the state they are of, and blocks of families.

    Takes about 110 bytes of memory for each of its posts, and no lock.
    """
    changed = rows(db, "SELECT changed FROM days WHERE day = ?", (day,))
    place, data = _banded(db, day)
    first = components(data)
    del data
    size = np.bincount(first, minlength=len(first))[first]
    some = size > 1
    place, first, size = place[some], place[first[some]], size[some]
    first = _earliest(db, place, first)
    table = np.stack([place, first, size.astype(np.int64)])
    return changed[0][0] if changed else 0, [
        table[:, at : at + CHUNK].tobytes() for at in range(0, len(place), CHUNK)
    ]


def put_families(db: apsw.Connection, day: int, changed: int, blocks: list[bytes]) -> None:
    """Replace the families of a day, settled as of the state `changed`; inside a transaction."""
    db.execute("DELETE FROM families WHERE spot BETWEEN ? AND ?", _span(day))
    firsts = (int(np.frombuffer(block, np.int64, 1)[0]) for block in blocks)
    db.executemany("INSERT INTO families VALUES (?, ?)", zip(firsts, blocks, strict=True))
    db.execute("UPDATE days SET settled = ? WHERE day = ?", (changed, day))


def _banded(db: apsw.Connection, day: int) -> tuple[I64, Bytes]:
    """Where the day's visible posts with bands lie, in order, and their bands."""
    some = "FROM bands WHERE day = ? AND version = ?"
    ((size,),) = rows(db, f"SELECT coalesce(sum(length(spots)), 0) / 8 {some}", (day, NEAR_VERSION))
    place, data, at = np.empty(size, np.int64), np.empty((size, BAND_BYTES), np.uint8), 0
    found = db.execute(f"SELECT spots, bands {some} ORDER BY n", (day, NEAR_VERSION))
    for spot, band in found:
        end = at + len(spot) // 8
        place[at:end] = np.frombuffer(spot, np.int64)
        data[at:end] = np.frombuffer(band, np.uint8).reshape(-1, BAND_BYTES)
        at = end
    order = np.argsort(place, kind="stable")
    newest = order[np.append(np.diff(place[order]) != 0, np.ones(min(size, 1), np.bool_))]
    hidden = rows(db, "SELECT spot FROM hidden WHERE spot BETWEEN ? AND ?", _span(day))
    shown = ~np.isin(place[newest], np.array(hidden, np.int64).ravel())
    kept = newest[shown & data[newest].any(axis=1)]
    return place[kept], data[kept]


def _earliest(db: apsw.Connection, place: I64, first: I64) -> I64:
    """The first post of each family by (event_time, source, id); spots tell milliseconds only.

    Args:
        db: Where the posts are.
        place: Spots of members, in order.
        first: The least spot of the family of each.
    """
    rivals = (place // SLOTS == first // SLOTS) & (place != first)
    if not rivals.any():
        return first
    asked = np.unique(np.concatenate([place[rivals], first[rivals]]))
    keys = rows(
        db, f"SELECT spot, event_time, source, id FROM posts WHERE {AT_SPOTS}", (numbers(asked),)
    )
    by_spot = {spot: key for spot, *key in keys}
    families = dict[int, list[int]]()
    for spot, family in zip(place[rivals].tolist(), first[rivals].tolist(), strict=True):
        families.setdefault(family, [family]).append(spot)
    there = {f: [s for s in spot if s in by_spot] or [f] for f, spot in families.items()}
    least = {f: min(s, key=by_spot.__getitem__) if len(s) > 1 else s[0] for f, s in there.items()}
    old = np.array(sorted(least), np.int64)
    new = np.array([least[f] for f in old.tolist()], np.int64)
    at = np.minimum(np.searchsorted(old, first), len(old) - 1)
    return np.where(old[at] == first, new[at], first)


# -- reading -------------------------------------------------------------------------------
def families(db: apsw.Connection, posts: pl.DataFrame) -> pl.DataFrame:
    """See `Store.families`."""
    found = _members(db, _places(db, posts))
    if found.is_empty():
        return pl.DataFrame(schema=FAMILY)
    firsts = frame(
        rows(
            db,
            f"SELECT spot, source, id FROM posts WHERE {AT_SPOTS}",
            (numbers(found["first"].unique().to_numpy()),),
        ),
        pl.Schema({"first": pl.Int64, "first_source": pl.String, "first_id": pl.String}),
    )
    return found.join(firsts, on="first", how="left", maintain_order="left").select(FAMILY.names())


def _places(db: apsw.Connection, posts: pl.DataFrame) -> pl.DataFrame:
    """`source`, `id`, `spot` of these posts: where their time and key say, but for a few."""
    asked = posts.select(KEY.names())
    guess = asked.with_columns(spot=pl.Series(spots(posts["event_time"], hashes(posts))))
    there = rows(
        db,
        f"SELECT source, id, spot FROM posts WHERE {AT_SPOTS}",
        (numbers(guess["spot"].to_numpy()),),
    )
    right = frame(there, guess.schema).join(guess, on=guess.columns, how="semi")
    rest = asked.join(right, on=KEY.names(), how="anti")
    return pl.concat([right, stored(db, rest, None).select(guess.columns)]).sort("spot")


def _members(db: apsw.Connection, posts: pl.DataFrame) -> pl.DataFrame:
    """`source`, `id`, `first` (spot), `size` of those of `posts` (sorted) that have a family."""
    place = posts["spot"].to_numpy()
    parts, at = [], 0
    while at < len(place):
        block = "SELECT spots FROM families WHERE spot <= ? ORDER BY spot DESC LIMIT 1"
        behind = "SELECT min(spot) FROM families WHERE spot > ?"
        here = int(place[at])
        ((end,),) = rows(db, behind, (here,))
        stop = len(place) if end is None else int(np.searchsorted(place, end))
        for (data,) in rows(db, block, (here,)):
            member, first, size = np.frombuffer(data, np.int64).reshape(3, -1)
            spot = np.minimum(np.searchsorted(member, place[at:stop]), len(member) - 1)
            own = member[spot] == place[at:stop]
            parts.append(
                posts[at:stop]
                .select(KEY.names())
                .with_columns(first=pl.Series(first[spot]), size=pl.Series(size[spot]))
                .filter(pl.Series(own))
            )
        at = stop
    return pl.concat(parts) if parts else posts.clear()


# -- retention -----------------------------------------------------------------------------
def sweep(db: apsw.Connection) -> None:
    """Drop what is kept of days of which no post is left; inside a transaction."""
    oldest = rows(db, "SELECT spot FROM posts ORDER BY spot LIMIT 1")
    if not oldest:
        return
    day = int(_days(np.array(oldest[0], np.int64))[0])
    db.execute("DELETE FROM bands WHERE day < ?", (day,))
    db.execute("DELETE FROM days WHERE day < ?", (day,))
    db.execute("DELETE FROM families WHERE spot < ?", (_span(day)[0],))
