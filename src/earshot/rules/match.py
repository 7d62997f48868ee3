"""Compiled expressions over a batch of posts, in columns."""

from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from earshot.errors import UsageError
from earshot.model.hashing import buffers, hash_strings, hash_text
from earshot.model.tokens import Tokens, tokenize
from earshot.rules.compile import CompiledRules, Expressions, compile_expressions
from earshot.rules.fields import TEXTS, columns, domain_features, single_features, url_features
from earshot.rules.match_kernel import prefix_hits, run
from earshot.rules.nodes import Node

HITS = pl.Schema({"post": pl.UInt32, "rule": pl.Int64, "rule_version": pl.Int64})
_NOTHING = np.zeros(0, np.uint64), np.zeros(0, np.uint32)


def match(compiled: CompiledRules, posts: pl.DataFrame, tokens: Tokens) -> pl.DataFrame:
    """Find which rule versions match which posts, by the versions active when each was received.

    Args:
        compiled: What `compile_rules` made.
        posts: POST, and `copy` and `late` where these are known; n rows.
        tokens: Of the n documents (title, text, further hashtags), with their index form.

    Returns:
        HITS: row of the post, rule, version; in this order.
    """
    post, expression = evaluate(compiled.expressions, posts, tokens)
    first = compiled.version_ends[expression]
    many = compiled.version_ends[expression + 1] - first
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    place = compiled.versions[np.repeat(first, many) + within]
    post = np.repeat(post, many)
    received = posts["received_at"].to_physical().fill_null(0).to_numpy()[post]
    active = received >= compiled.active_from[place]
    active &= received < compiled.active_until[place]
    order = np.sort(post[active].astype(np.int64) << 32 | place[active])
    place = order & 0xFFFFFFFF
    found = {
        "post": order >> 32,
        "rule": compiled.rule[place],
        "rule_version": compiled.version[place],
    }
    return pl.DataFrame(found).cast(HITS)


def matches(node: Node, posts: pl.DataFrame, tokens: Tokens) -> NDArray[np.bool_]:
    """Which posts match one expression, whenever they were received."""
    found = np.zeros(posts.height, np.bool_)
    found[evaluate(_compiled(node), posts, tokens)[0]] = True
    return found


@lru_cache(maxsize=256)
def _compiled(node: Node) -> Expressions:
    return compile_expressions([node])


def evaluate(
    compiled: Expressions, posts: pl.DataFrame, tokens: Tokens
) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """(post, expression) of every match, by post."""
    posts = posts.rechunk()  # many small chunks make every step slow
    several, several_ends = _several(compiled, posts)
    single = single_features(posts, compiled.single)
    return _run(compiled, tokens, single, (several, several_ends), columns(posts, compiled.columns))


def _run(
    compiled: Expressions,
    tokens: Tokens,
    single: NDArray[np.uint64],
    several: tuple[NDArray[np.uint64], NDArray[np.int64]],
    truths: NDArray[np.bool_],
) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    found: tuple[NDArray[np.uint32], NDArray[np.int32]] = run(
        (tokens.hash, tokens.position, tokens.ends),
        _prefixes(compiled, tokens),
        single,
        *several,
        truths,
        compiled.table,
        compiled.programs,
        compiled.many,
        compiled.patterns,
    )
    return found


def _prefixes(
    compiled: Expressions, tokens: Tokens
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.int64]]:
    if not compiled.prefix_lengths or not len(tokens.hash):
        return *_NOTHING, np.zeros(len(tokens.ends), np.int64)
    if not tokens.indexed:
        message = "a prefix cannot be matched on tokens without their index form"
        raise UsageError(message, hint="call tokenize(…, index=True)")
    offsets, data = buffers(tokens.index)
    ends, lengths, sieve = tokens.ends, compiled.prefix_lengths, compiled.sieve
    found: tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.int64]] = prefix_hits(
        ends, tokens.position, offsets, data, lengths, sieve, *compiled.table[:2]
    )
    return found


def _several(
    compiled: Expressions, posts: pl.DataFrame
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Features that a post may have several of: values and ends by post."""
    frames = [domain_features(posts)] if compiled.domains else []
    if compiled.urls:
        frames.append(url_features(posts, compiled.urls))
    frames += [_text_features(posts, *text) for text in compiled.texts]
    ends = np.zeros(posts.height + 1, np.int64)
    if not frames:
        return _NOTHING[0], ends
    found = pl.concat(frames).sort("post")
    np.cumsum(np.bincount(found["post"].to_numpy(), minlength=posts.height), out=ends[1:])
    return found["hash"].to_numpy(), ends


def _text_features(
    posts: pl.DataFrame, name: str, values: tuple[str, ...], phrases: Expressions
) -> pl.DataFrame:
    """`post`, `hash`: which of these phrases the words of a column hold."""
    tokens = tokenize(posts[TEXTS[name]], index=True)
    nothing = np.zeros((0, posts.height), np.uint64)
    ends, no_columns = np.zeros(posts.height + 1, np.int64), np.zeros((0, posts.height), np.bool_)
    post, phrase = _run(phrases, tokens, nothing, (_NOTHING[0], ends), no_columns)
    keys = hash_strings(pl.Series(values, dtype=pl.String)) ^ np.uint64(hash_text(name))
    return pl.DataFrame({"post": post, "hash": keys[phrase]})
