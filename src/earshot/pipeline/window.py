"""Count posts into windows of one minute, for every network and every rule at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from earshot.model.document import document
from earshot.model.hashing import Array
from earshot.model.schema import COUNTERS, TIME
from earshot.model.tokens import Tokens, tokenize
from earshot.pipeline.annotate import take
from earshot.pipeline.block import (
    Blocks,
    chain,
    is_any,
    join,
    merge,
    none,
    shifted,
    sketched,
    take_pairs,
    tidy_vocabulary,
)
from earshot.pipeline.facets import NEEDED, Facets, facets
from earshot.pipeline.hashes import I64, U32, author_keys, ranked
from earshot.pipeline.score import Weights, observed_score, own_score

KEYS: Final = pl.Schema({"start": TIME, "source": pl.String(), "rule": pl.Int64()})
"""What a window of a given width is known by; rule 0: all posts of the source."""
MINUTE: Final = 60
COLUMNS: Final = (*NEEDED, "kind", "event_time", "consumed", "hidden", "copy", "rules")
"""All columns of a post that counting looks at."""
_US: Final = 1_000_000
_FEW: Final = 256
_DIGIT_BITS: Final = 11
_DIGIT: Final = (1 << _DIGIT_BITS) - 1


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one width with their content."""

    keys: pl.DataFrame
    """KEYS, one row a window, no two alike."""
    blocks: Blocks
    """The same windows in the same order."""


_CARRIER: Final = pl.Schema(
    {
        "minute": pl.Int64(),  # minutes of the epoch
        "source": pl.String(),
        "rules": pl.List(pl.Int64()),
        "author": pl.UInt64(),
        "copy": pl.Boolean(),
        "is_post": pl.Boolean(),
        "score": pl.Int64(),  # thousandths
        "key": pl.UInt64(),
    }
)


@dataclass(frozen=True, slots=True)
class Carried:
    """Posts and scores with all that counting needs of them, not yet counted."""

    rows: pl.DataFrame
    """_CARRIER: a post in its minute, or a score in the minute it was seen."""
    facets: Facets
    """Of the same rows."""


def counts(posts: pl.DataFrame) -> pl.DataFrame:
    """The posts that windows count: those consumed themselves and not hidden."""
    return posts.filter(pl.col("consumed") & ~pl.col("hidden"))


def window(posts: pl.DataFrame, observed: pl.DataFrame, weights: Weights) -> Windows:
    """Count posts by the minute of `event_time`, and scores by the minute they were seen in.

    Args:
        posts: STORED + `rules` (List(Int64)), at least COLUMNS of these, of any minutes and
            sources; those that windows do not count are left out here.
        observed: STORED + `rules` of observed posts, `minute` (in which they were seen), `base`,
            `seen_<counter>`, `before_<counter>` (null: never).
        weights: What counters are worth.

    Returns:
        One window for every (minute, source, rule) that a post or a score falls into; rule 0
        has all posts.
    """
    return count(carry(posts, observed, weights))


def carry(
    posts: pl.DataFrame, observed: pl.DataFrame, weights: Weights, tokens: Tokens | None = None
) -> Carried:
    """Find what posts and scores are counted under, but do not count yet; takes what `window` does.

    The column `key` (UInt64), where both frames have it, goes along. Where `tokens` are given, the
    column `row` (UInt32) says which of them those of a post are; else its text is cut again.
    """
    brought = [_of_posts(counts(posts), weights)] if posts.height else []
    brought += [_of_observed(counts(observed), weights)] if observed.height else []
    carriers = pl.concat(brought) if brought else pl.DataFrame(schema=_CARRIER)
    if carriers.height == 0:
        return nothing_carried()
    if tokens is None:
        cut = tokenize(document(carriers), index=True)
    else:
        cut = take(tokens, carriers["row"].to_numpy())
    found = facets(carriers, cut)
    author = pl.Series("author", author_keys(carriers["source"], carriers["author_id"]))
    return Carried(carriers.with_columns(author).select(_CARRIER.names()), found)


def nothing_carried() -> Carried:
    """No posts at all."""
    empty = none()
    return Carried(
        pl.DataFrame(schema=_CARRIER),
        Facets(empty.pair_end, empty.value, empty.facet, empty.key, empty.text_end, empty.text),
    )


def gather(parts: Sequence[Carried]) -> Carried:
    """Put what was carried in several parts behind each other, over one vocabulary."""
    full = [part for part in parts if part.rows.height] or [nothing_carried()]
    if len(full) == 1:
        return full[0]
    found = [part.facets for part in full]
    value, facet, key, text_end, text = tidy_vocabulary(
        shifted([f.value for f in found], [len(f.facet) for f in found]),
        np.concatenate([f.facet for f in found]),
        np.concatenate([f.key for f in found]),
        chain([f.text_end for f in found]),
        np.concatenate([f.text for f in found]),
    )
    ends = chain([f.pair_end for f in found])
    return Carried(
        pl.concat([part.rows for part in full]), Facets(ends, value, facet, key, text_end, text)
    )


def kept(carried: Carried, keep: pl.Series) -> Carried:
    """What is carried where `keep` (Boolean) holds; the vocabulary stays."""
    if keep.all():
        return carried
    ends, value = take_pairs(
        np.flatnonzero(keep.to_numpy()), carried.facets.pair_end, carried.facets.value
    )
    rows = carried.rows.filter(keep)
    return Carried(rows, replace(carried.facets, pair_end=ends, value=value))


def count(carried: Carried) -> Windows:
    """One window for every (minute, source, rule) that is carried; rule 0 has all posts."""
    rows, found = carried.rows, carried.facets
    if rows.height == 0:
        return Windows(pl.DataFrame(schema=KEYS), none())
    scope_end, scope, keys = _scopes(rows)
    authors, rank = ranked(rows["author"].to_numpy())
    parts = _aggregate(
        np.argsort(rank, kind="stable"), found.pair_end, found.value, scope_end, scope,
        rank, ~rows["copy"].to_numpy(), rows["is_post"].to_numpy(),
        rows["score"].to_numpy(), keys.height, len(found.facet),
    )  # fmt: skip
    return Windows(keys, sketched(_blocks(parts, found, authors)))


def unobserved(posts: pl.DataFrame) -> pl.DataFrame:
    """No observations, in the columns that `window` takes; `posts` lends STORED + `rules`."""
    more: dict[str, pl.DataType] = {"minute": TIME, "base": pl.Boolean()}
    more |= {f"{when}_{c}": pl.Int64() for when in ("seen", "before") for c in COUNTERS}
    return posts.clear().with_columns(pl.lit(None, t).alias(c) for c, t in more.items())


def roll(parts: Sequence[Windows], width: int) -> Windows:
    """Merge windows into those of `width` seconds that contain them, by source and rule."""
    full = [part for part in parts if part.keys.height]
    if not full:
        return Windows(pl.DataFrame(schema=KEYS), none())
    keys = pl.concat([part.keys for part in full])
    start = pl.from_epoch(
        pl.col("start").dt.epoch("us") // (width * _US) * (width * _US), time_unit="us"
    ).cast(TIME)
    floored = keys.with_columns(start)
    wide = floored.unique().sort(KEYS.names())
    if len(full) == 1 and wide.height == keys.height:
        return Windows(floored, full[0].blocks)  # nothing to merge
    into = floored.join(
        wide.with_row_index("into"), on=KEYS.names(), how="left", maintain_order="left"
    )["into"]
    whole = join([p.blocks for p in full], ordered=False)
    return Windows(wide, merge(whole, into.to_numpy(), wide.height))


def gathered(parts: Sequence[Windows]) -> Windows:
    """Put windows of several parts, no two alike, behind each other."""
    return Windows(pl.concat([p.keys for p in parts]), join([p.blocks for p in parts]))


def _marks(frame: pl.DataFrame) -> list[pl.Expr]:
    """`key` and `row`, where the frame has them."""
    marks = {"key": pl.UInt64, "row": pl.UInt32}
    return [
        (pl.col(name) if name in frame.columns else pl.lit(0)).cast(kind).alias(name)
        for name, kind in marks.items()
    ]


def _of_posts(posts: pl.DataFrame, weights: Weights) -> pl.DataFrame:
    return posts.select(
        *NEEDED.names(), "copy", "rules", *_marks(posts),
        minute=pl.col("event_time").dt.epoch("us") // (MINUTE * _US),
        is_post=pl.lit(value=True),
        score=own_score(posts, weights),
    )  # fmt: skip


def _of_observed(observed: pl.DataFrame, weights: Weights) -> pl.DataFrame:
    return observed.select(
        *NEEDED.names(), "copy", "rules", *_marks(observed),
        minute=pl.col("minute").dt.epoch("us") // (MINUTE * _US),
        is_post=pl.lit(value=False),
        score=observed_score(observed, weights),
    ).filter(pl.col("score") != 0)  # fmt: skip


def _scopes(carriers: pl.DataFrame) -> tuple[I64, U32, pl.DataFrame]:
    """Windows each carrier counts in (ends and numbers), and the KEYS of all windows."""
    rules = carriers["rules"]
    sizes = rules.list.len().to_numpy().astype(np.int64) + 1
    ends = np.zeros(carriers.height + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    rule = np.zeros(ends[-1], np.int64)
    behind = np.ones(ends[-1], np.bool_)
    behind[ends[:-1]] = False  # the first scope of each carrier is rule 0
    rule[behind] = rules.filter(pl.Series(sizes > 1)).explode().to_numpy()
    found, numbers = ranked(rule.view(np.uint64))  # none is below 0
    known_rules, rule = found.view(np.int64), numbers.astype(np.int64)
    sources = carriers["source"].unique().sort()
    source = carriers["source"].cast(pl.Enum(sources)).to_physical().to_numpy().astype(np.int64)
    place = carriers["minute"].to_numpy() * len(sources) + source
    places = np.repeat(place, sizes) * len(known_rules) + rule
    found, scope = ranked(places.view(np.uint64))  # before 1970 comes last
    known = found.view(np.int64)
    at, rest = np.divmod(known, len(sources) * len(known_rules))
    keys = pl.DataFrame(
        {
            "start": pl.Series(at * MINUTE * _US).cast(TIME),
            "source": sources.gather(rest // len(known_rules)),
            "rule": known_rules[rest % len(known_rules)],
        },
        schema=KEYS,
    )
    return ends, scope, keys


def _blocks(parts: tuple[Array, ...], found: Facets, authors: NDArray[np.uint64]) -> Blocks:
    row_end, value, counted, pair_end, pair = parts
    return Blocks(
        row_end, value, counted, pair_end, pair,
        sketch=np.full(len(value), -1, np.int32),
        registers=none().registers,
        facet=found.facet, key=found.key, text_end=found.text_end, text=found.text,
        authors=authors,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _members(order: I64, scope_end: I64, scope: U32, windows: int) -> tuple[I64, U32]:
    """The carriers of each window, in the order given; where those of a window end."""
    ends = np.zeros(windows + 1, np.int64)
    for s in scope:
        ends[s + 1] += 1
    for w in range(windows):
        ends[w + 1] += ends[w]
    at, members = ends[:-1].copy(), np.empty(len(scope), np.uint32)
    for c in order:
        for s in range(scope_end[c], scope_end[c + 1]):
            members[at[scope[s]]] = c
            at[scope[s]] += 1
    return ends, members


@njit(cache=True, nogil=True)
def _largest(ends: I64, members: U32, pair_end: I64) -> tuple[int, int]:
    """Entries of all windows, and of the window with most."""
    total, most = 0, 0
    for w in range(len(ends) - 1):
        n = 0
        for m in members[ends[w] : ends[w + 1]]:
            n += pair_end[m + 1] - pair_end[m]
        total += n
        most = max(most, n)
    return total, most


@njit(cache=True, nogil=True)
def _by_value(entries: Array, spare: Array, values: int) -> Array:
    """Sort by the upper half, stably: digit by digit, or at once where there are few."""
    if len(entries) <= _FEW:
        entries.sort()  # the lower half is the place, so the order stays
        return entries
    shift = np.uint64(32)
    while values:
        at = np.zeros(_DIGIT + 2, np.int64)
        for e in entries:
            at[(np.int64(e >> shift) & _DIGIT) + 1] += 1
        for d in range(_DIGIT + 1):
            at[d + 1] += at[d]
        for e in entries:
            digit = np.int64(e >> shift) & _DIGIT
            spare[at[digit]] = e
            at[digit] += 1
        entries, spare = spare, entries
        shift += np.uint64(_DIGIT_BITS)
        values >>= _DIGIT_BITS
    return entries


@njit(cache=True, nogil=True)
def _aggregate(  # noqa: PLR0913, PLR0917 - facets, scopes and what carriers bring, in columns
    order: I64, pair_end: I64, value: U32, scope_end: I64, scope: U32, rank: U32, once: Array,
    is_post: Array, score: I64, windows: int, values: int,
) -> tuple[Array, ...]:  # fmt: skip
    """Rows and their authors: window by window, entries (value, carrier) in order of author."""
    ends, members = _members(order, scope_end, scope, windows)
    total, most = _largest(ends, members, pair_end)
    buffers = np.empty((2, most), np.uint64)
    row_end, out_value = np.zeros(windows + 1, np.int64), np.empty(total, np.uint32)
    counted, out_end = np.empty((total, 4), np.int64), np.zeros(total + 1, np.int64)
    pair = np.empty(total, np.uint32)
    row, m = 0, 0
    for w in range(windows):
        here = members[ends[w] : ends[w + 1]]
        n = 0
        for k in range(len(here)):
            for p in range(pair_end[here[k]], pair_end[here[k] + 1]):
                buffers[0, n] = np.uint64(value[p]) << np.uint64(32) | np.uint64(k)
                n += 1
        what = _by_value(buffers[0, :n], buffers[1, :n], values)
        i = 0
        while i < n:
            v, begin = what[i] >> np.uint64(32), m
            counted[row] = 0
            while i < n and what[i] >> np.uint64(32) == v:
                c = here[np.int64(what[i] & np.uint64(0xFFFFFFFF))]
                counted[row, 2] += score[c]
                counted[row, 3] += 0 if once[c] else score[c]
                if is_post[c]:
                    counted[row, 0] += 1
                    counted[row, 1] += 0 if once[c] else 1
                    if m == begin or pair[m - 1] >> np.uint32(1) != rank[c]:
                        pair[m] = rank[c] << np.uint32(1)
                        m += 1
                    pair[m - 1] |= np.uint32(once[c])
                i += 1
            if is_any(counted, row):
                out_value[row] = np.uint32(v)
                row += 1
                out_end[row] = m
        row_end[w + 1] = row
    return (
        row_end, out_value[:row].copy(), counted[:row].copy(), out_end[: row + 1].copy(),
        pair[:m].copy(),
    )  # fmt: skip
