"""Windows counted the slow, plain way: what every faster way has to equal."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import polars as pl
import stopwordsiso

from earshot.model.document import document
from earshot.model.schema import STORED
from earshot.model.tokens import is_unspaced, terms_of
from earshot.pipeline.hashes import fold
from earshot.pipeline.score import Weights
from earshot.pipeline.stopwords import COMMON

Post = Mapping[str, Any]
"""A row of STORED + `rules`."""


@dataclass(slots=True)
class Tally:
    """One value of one window."""

    posts: set[str] = field(default_factory=set)
    authors: set[str] = field(default_factory=set)
    score: int = 0

    def row(self) -> tuple[int, int, int]:
        """Posts, authors, score in thousandths."""
        return len(self.posts), len(self.authors), self.score


def recount(
    posts: Iterable[Post],
    observed: Iterable[Post],
    weights: Weights,
    *,
    width: int = 60,
    once: bool = False,
) -> dict[tuple[Any, ...], tuple[int, int, int]]:
    """(start in seconds, source, rule, facet, value) → (posts, authors, score).

    Args:
        posts: Rows of STORED + `rules`.
        observed: The same with `minute`, `base`, `seen_<counter>`, `before_<counter>`.
        weights: What counters are worth.
        width: Seconds.
        once: Leave copies out.
    """
    tallies: dict[tuple[Any, ...], Tally] = defaultdict(Tally)
    for post in posts:
        if _counts(post, once=once):
            for place in _places(post, post["event_time"], width):
                tallies[place].posts.add(post["id"])
                tallies[place].authors.add(post["author_id"] or "")
                tallies[place].score += _own(post, weights)
    for seen in observed:
        if _counts(seen, once=once) and (score := _grown(seen, weights)):
            for place in _places(seen, seen["minute"], width):
                tallies[place].score += score
    return {place: t.row() for place, t in tallies.items() if t.posts or t.score}


def _counts(post: Post, *, once: bool) -> bool:
    return post["consumed"] and not post["hidden"] and not (once and post["copy"])


def _places(post: Post, at: Any, width: int) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - a time
    start = int(at.timestamp()) // width * width
    for rule in [0, *post["rules"]]:
        for facet, value in values(post):
            yield start, post["source"], rule, facet, value


def values(post: Post) -> set[tuple[str, str]]:
    """What a post is counted under: (facet, value)."""
    found = {("total", "")}
    found |= {("hashtag", _fold(t).removeprefix("#")) for t in post["hashtags"] or []}
    found |= {("mention", _fold(m).removeprefix("@")) for m in post["mentions"] or []}
    found |= {("domain", (k["domain"] or "").lower()) for k in post["links"] or []}
    found |= {("language", post["lang"] or post["lang_detected"]), ("country", post["country"])}
    found |= {("author", post["author_id"]), ("channel", post["channel"])}
    found |= {("word", word) for word in _words(post)}
    return {(f, v) for f, v in found if v or f == "total"}


def _words(post: Post) -> Iterator[str]:
    fields = {name: post[name] for name in ("title", "text", "hashtags")}
    text = document(pl.DataFrame([fields], {c: STORED[c] for c in fields}, orient="row"))[0]
    silent = _silent(post["lang"] or post["lang_detected"])
    for term in terms_of([text or ""])[0]:
        number = all(c in "_'" or unicodedata.category(c)[0] == "N" for c in term)
        letter = len(term) == 1 and term.isalnum() and not is_unspaced(term)
        if term[0] not in "#@$" and not number and not letter and term not in silent:
            yield term


@lru_cache
def _silent(lang: str | None) -> frozenset[str]:
    codes = [lang, "en"] if lang is not None and stopwordsiso.has_lang(lang) else COMMON
    words = stopwordsiso.stopwords(codes)
    return frozenset(_fold(word) for word in words)


@lru_cache
def _fold(text: str) -> str:
    return str(fold(pl.Series([text]))[0])


def _own(post: Post, weights: Weights) -> int:
    is_rsvp = post["source"] == "meetup" and post["kind"] == "rsvp"
    return round(1000 * weights.meetup_rsvp) if is_rsvp else 0


def _grown(seen: Post, weights: Weights) -> int:
    worth: dict[str, float]
    if seen["base"]:
        return 0
    if seen["source"] == "reddit":
        worth = {"replies": weights.reddit_comments, "score": weights.reddit_score}
    elif seen["source"] == "meetup":
        worth = {}
    else:
        worth = {"replies": weights.replies, "reposts": weights.reposts, "likes": weights.likes}
    total = 0
    for counter, weight in worth.items():
        if seen[f"seen_{counter}"] is not None:
            grown = seen[f"seen_{counter}"] - (seen[f"before_{counter}"] or 0)
            total += grown * round(1000 * weight)
    return total
