"""What people write, put together from phrases a column at a time.

No text holds a quote, a backslash or a control character: it can stand in JSON as it is.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import ids, noise
from earshot.sources._world.noise import I64, U64, Bool
from earshot.sources._world.people import TOPICS, WORDS, People, gather, topic_names, topic_tags
from earshot.sources._world.plot import EDIT, QUOTE, REPLY, Rows
from earshot.sources._world.words import (
    DOMAINS,
    EMOJI_BAD,
    EMOJI_GOOD,
    EMOJI_PLAIN,
    SPAM_DOMAINS,
)

_MOODS: Final = ("good", "bad", "plain")
_VARIANTS: Final = (" 👇", " ‼️", "!!", " (via)", " ⬇️⬇️", " …", " ?!")
_SECTIONS: Final = ("news", "live", "a", "story", "photos", "2026")
Pools = tuple[tuple[str, ...], ...]


@lru_cache(maxsize=32)
def _pool(name: str, part: int = -1) -> Pools:
    """Phrases of each language; `part` 0 and 1 are what stands before and behind."""
    every = (getattr(w, name) for w in WORDS)
    return tuple(tuple(p if part < 0 else p[part] for p in phrases) for phrases in every)


def family_key(seed: int, family: I64) -> U64:
    """What a copied text is drawn by, instead of its row."""
    return noise.mix(family, noise.one(seed, 80) & 0xFFFFFFFF)


def varied(rows: Rows) -> Bool:
    """Which copies are lightly changed, not exact."""
    return (rows.family >= 0) & noise.chance(rows.uid, 81, 0.4)


def compose(people: People, rows: Rows) -> pl.DataFrame:
    """What each row says.

    Returns:
        body (the words), tag1, tag2, url (each without what marks it; null: none), tags (body's
        ending as it stands in a text, with #), lang, cc (a person who is mentioned; null: none),
        site, mood (0 good, 1 bad, 2 plain).
    """
    copies = rows.family >= 0
    key = np.where(copies, family_key(people.seed, rows.family), rows.uid)
    lang = np.where(copies, noise.below(key, 82, len(WORDS)), people.lang[rows.person])
    topic = np.where(copies, noise.below(key, 83, TOPICS), rows.topic)
    spam = people.spammer[rows.person]
    answers = (rows.kind == REPLY) & ~spam
    mood = _mood(people, rows, key, topic)
    body = _bodies(_Said(key, lang, topic, mood, answers, spam))
    tail = pl.Series(np.where(varied(rows), noise.below(rows.uid, 84, len(_VARIANTS)), -1))
    body += pl.Series(_VARIANTS).gather(tail.replace(-1, None)).fill_null("")
    body += _when((rows.kind == EDIT), " (edit)")
    return pl.DataFrame({"body": body, "mood": mood}).with_columns(
        *_tags(key, lang, topic, rows, spam),
        *_links(key, copies, spam),
        pl.Series("lang", [w.lang for w in WORDS]).gather(lang).alias("lang"),
        _mentioned(people, rows).alias("cc"),
    )


def _mood(people: People, rows: Rows, key: U64, topic: I64) -> I64:
    """How people feel: a community has its own leaning on each topic; a copy feels as copied."""
    community = np.where(rows.family >= 0, 0, people.community[rows.person])
    leaning = noise.unit(topic * 1000 + community, 85)
    drawn = noise.unit(key, 86)
    return np.where(drawn < 0.2 + 0.5 * leaning, 0, np.where(drawn < 0.8, 1, 2))


@dataclass(frozen=True, slots=True)
class _Said:
    """What decides on the words of each row."""

    key: U64
    lang: I64
    topic: I64
    mood: I64
    answers: Bool
    spam: Bool


def _bodies(of: _Said) -> pl.Series:
    """Opener, frame and topic, detail, opinion, emoji, in the order of the language."""
    key, lang, topic, mood, answers, spam = of.key, of.lang, of.topic, of.mood, of.answers, of.spam
    spaces = pl.Series([w.space for w in WORDS]).gather(lang)
    number = pl.Series(noise.below(key, 90, 58) + 2).cast(pl.String)
    topical = (topic >= 0) & ~answers & ~spam
    frame = noise.mix(key, 91)
    detail = noise.mix(key, 92)
    names = topic_names().gather(lang * TOPICS + np.maximum(topic, 0))
    said = pl.DataFrame(
        {
            "opener": _when(
                ~answers & ~spam & noise.chance(key, 102, 0.4),
                gather(_pool("openers"), lang, noise.mix(key, 93)),
            ),
            "about": gather(_pool("frames", 0), lang, frame)
            + names
            + gather(_pool("frames", 1), lang, frame),
            "chatter": gather(_pool("chatter"), lang, noise.mix(key, 94)),
            "reply": gather(_pool("replies"), lang, noise.mix(key, 95)),
            "spam": gather(_pool("spam"), lang, noise.mix(key, 96)),
            "detail": spaces
            + gather(_pool("details", 0), lang, detail)
            + number
            + gather(_pool("details", 1), lang, detail),
            "opinion": spaces + gather(_opinions(), lang * 3 + mood, noise.mix(key, 97)),
            "emoji": " " + gather((EMOJI_GOOD, EMOJI_BAD, EMOJI_PLAIN), mood, noise.mix(key, 98)),
            "topical": topical,
            "answers": answers,
            "advert": spam,
            "detailed": noise.chance(key, 99, 0.45) & ~spam & ~answers,
            "opined": noise.chance(key, 100, 0.72) & ~spam,
            "smiles": noise.chance(key, 101, 0.4),
        }
    )
    core = (
        pl.when("advert")
        .then("spam")
        .when("answers")
        .then("reply")
        .when("topical")
        .then("about")
        .otherwise("chatter")
    )
    empty = pl.lit("")
    whole = pl.concat_str(
        "opener",
        core,
        pl.when("detailed").then("detail").otherwise(empty),
        pl.when("opined").then("opinion").otherwise(empty),
        pl.when("smiles").then("emoji").otherwise(empty),
    )
    begun = whole.str.slice(0, 1).str.to_uppercase() + whole.str.slice(1)
    return said.select(begun.alias("body"))["body"]


@lru_cache(maxsize=1)
def _opinions() -> Pools:
    """Opinions of each language and mood."""
    return tuple(tuple(getattr(w, mood)) for w in WORDS for mood in _MOODS)


def _when(there: Bool, phrase: "pl.Series | str") -> pl.Series:
    """The phrase where it is wanted, else nothing."""
    frame = pl.DataFrame({"there": there}).with_columns(
        (pl.lit(phrase) if isinstance(phrase, str) else phrase).alias("phrase")
    )
    return frame.select(pl.when("there").then("phrase").otherwise(pl.lit("")).alias("p"))["p"]


def _tags(key: U64, lang: I64, topic: I64, rows: Rows, spam: Bool) -> list[pl.Series]:
    """The topic's hashtag, oftener in a burst, and sometimes one of another topic."""
    share = np.where(rows.burst >= 0, 0.85, np.where(rows.kind == REPLY, 0.12, 0.38))
    first = (topic >= 0) & noise.chance(key, 112, share) | spam
    other = noise.below(key, 103, TOPICS)
    second = first & (noise.chance(key, 104, 0.2) | spam) & (other != topic)
    tags = topic_tags()
    one = tags.gather(lang * TOPICS + np.maximum(topic, 0))
    two = tags.gather(lang * TOPICS + other)
    return [_null(one, first).alias("tag1"), _null(two, second).alias("tag2")]


def _null(texts: pl.Series, there: Bool) -> pl.Series:
    """Texts where they are wanted, else null."""
    return texts.set(pl.Series(~there), None)


def _links(key: U64, copies: Bool, spam: Bool) -> list[pl.Series]:
    """A link to an example domain for some; spam always has one."""
    linked = noise.chance(key, 105, np.where(copies, 0.5, 0.17)) | spam
    row = spam.astype(np.int64)
    site = gather((DOMAINS, SPAM_DOMAINS), row, noise.mix(key, 106))
    section = gather((_SECTIONS,), np.zeros(len(key), np.int64), noise.mix(key, 107))
    # Many link to the same few pages, so that pages can be counted.
    page = ids.base32(noise.below(key, 108, 400).astype(np.uint64), 109, 6)
    url = "https://" + site + "/" + section + "/" + page
    return [_null(url, linked).alias("url"), _null(site, linked).alias("site")]


def _mentioned(people: People, rows: Rows) -> pl.Series:
    """Somebody of the author's own community, in one of twelve posts."""
    there = noise.chance(rows.uid, 110, 0.08) & (rows.kind != QUOTE) & (rows.family < 0)
    first = people.first[people.community[rows.person]]
    size = people.first[people.community[rows.person] + 1] - first
    who = pl.Series(first + noise.below(rows.uid, 111, size))
    return who.set(pl.Series(~there | (who.to_numpy() == rows.person)), None)
