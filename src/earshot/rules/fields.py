"""What a batch of posts says beside its words: features (hashes) and columns (booleans).

A field that is compared for equality becomes a *feature*: the hash of its value, mixed with the
hash of the field's name, so that the matcher looks it up like a token. All else becomes a column of
booleans. Both are made once a batch, and only for what occurs in the rules.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from earshot.model.hashing import hash_strings, hash_text, key_hash
from earshot.model.tags import IS_KIND, domains, flag, has, kind, language
from earshot.rules.grammar import LATE, RANGES
from earshot.rules.nodes import Field, Range, Sample

SINGLE: Final[Mapping[str, pl.Expr]] = {
    "handle": pl.col("author_handle").str.strip_prefix("@").str.to_lowercase(),
    "author": pl.col("author_id"),
    "to_handle": pl.col("reply_to_handle").str.strip_prefix("@").str.to_lowercase(),
    "to_author": pl.col("reply_to_author"),
    "lang": language(),
    "country": pl.col("country").str.to_uppercase(),
    "source": pl.col("source"),
    "conversation": pl.col("conversation"),
    "channel": pl.col("channel").str.to_lowercase(),
}
"""Features that a post has at most one of."""
TEXTS: Final = {"bio": "author_bio", "place": "place"}
"""Fields whose words are searched: operator -> column."""

Column = Range | Sample | Field


def feature(name: str, value: str) -> int:
    """The hash under which a value of a feature is looked up."""
    return hash_text(value) ^ hash_text(name)


def features_of(field: Field) -> list[int] | None:
    """Features of which a post needs one to match; None: the field is a column."""
    value = field.value
    if field.name == "from":
        return [feature("handle", value.lower()), feature("author", value)]
    if field.name == "to":
        return [feature("to_handle", value.lower()), feature("to_author", value)]
    if field.name in SINGLE or field.name in TEXTS or field.name in {"domain", "url"}:
        return [feature(field.name, value)]
    return None


def single_features(posts: pl.DataFrame, names: Sequence[str]) -> NDArray[np.uint64]:
    """The hashes (names, posts) of features that a post has at most one of; 0: it has none."""
    found = np.zeros((len(names), posts.height), np.uint64)
    values = posts.select(**{name: SINGLE[name] for name in names})
    for row, name in enumerate(names):
        hashes = hash_strings(values[name])
        np.copyto(found[row], hashes ^ np.uint64(hash_text(name)), where=hashes != 0)
    return found


def domain_features(posts: pl.DataFrame) -> pl.DataFrame:
    """`post`, `hash`: the domains of the links of each post, and those above."""
    found = domains(posts)
    hashes = hash_strings(found["domain"]) ^ np.uint64(hash_text("domain"))
    return found.select("post", hash=pl.Series(hashes))


def url_features(posts: pl.DataFrame, parts: Sequence[str]) -> pl.DataFrame:
    """`post`, `hash`: which of these texts (lower case) is part of a link of each post."""
    names = ("url", "expanded", "canonical")
    written = [pl.col("links").list.eval(pl.element().struct.field(n)) for n in names]
    found = (
        posts.lazy()
        .select(post=pl.int_range(pl.len(), dtype=pl.UInt32), url=pl.concat_list(written))
        .filter(pl.col("url").list.len() > 0)
        .explode("url")
        .select(
            "post",
            part=pl.col("url").str.to_lowercase().str.extract_many(list(parts), overlapping=True),
        )
        .filter(pl.col("part").list.len() > 0)
        .explode("part")
        .unique(maintain_order=True)
        .collect()
    )
    hashes = hash_strings(found["part"]) ^ np.uint64(hash_text("url"))
    return found.select("post", hash=pl.Series(hashes, dtype=pl.UInt64))


def columns(posts: pl.DataFrame, wanted: Sequence[Column]) -> NDArray[np.bool_]:
    """The truth (wanted, posts) of each predicate."""
    found = np.zeros((len(wanted), posts.height), np.bool_)
    keys: NDArray[np.uint64] | None = None
    expressions: dict[str, pl.Expr] = {}
    for row, predicate in enumerate(wanted):
        if isinstance(predicate, Sample):
            keys = key_hash(posts["source"], posts["id"]) if keys is None else keys
            found[row] = keys % np.uint64(100) < np.uint64(predicate.percent)
        elif not isinstance(predicate, Field) or predicate.name not in LATE:
            expressions[str(row)] = _expression(predicate, posts.columns)
    if expressions:
        answers = posts.with_columns(**expressions)  # literals get the frame's height
        for name in expressions:
            found[int(name)] = answers[name].to_numpy()
    return found


def _expression(predicate: Range | Field, columns: Sequence[str]) -> pl.Expr:
    if isinstance(predicate, Range):
        value, yes = pl.col(RANGES[predicate.name]), pl.lit(value=True)
        if predicate.low is not None:
            yes = yes & (value >= predicate.low)
        if predicate.high is not None:
            yes = yes & (value <= predicate.high)
        return yes.fill_null(value=False)
    make: Callable[[str], pl.Expr] = has
    if predicate.name == "is" and predicate.value in IS_KIND:
        make = kind
    elif predicate.name == "is":
        return flag(predicate.value, columns)
    return make(predicate.value)
