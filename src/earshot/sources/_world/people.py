"""Who lives in the world: communities with a language, a place and topics, and their people."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import ids, noise
from earshot.sources._world.noise import F64, I64, U64, Bool
from earshot.sources._world.words import CATEGORIES, NAMES, Words

BLUESKY, X, MASTODON, REDDIT, MEETUP = range(5)
NETWORKS: Final = ("bluesky", "x", "mastodon", "reddit", "meetup")
LANGUAGES: Final = ("en", "es", "pt", "de", "fr", "ja", "ar", "tr", "it")
WORDS: Final[tuple[Words, ...]] = tuple(
    import_module(f"earshot.sources._world.words.{lang}").WORDS for lang in LANGUAGES
)
_SHARE: Final = (0.52, 0.24, 0.12, 0.09, 0.03)
"""Share of the communities that live on each network."""
_SPAMMERS: Final = 0.012
TOPICS: Final = len(NAMES)


@dataclass(frozen=True, slots=True)
class Place:
    """A town: language (number), country, name, latitude, longitude, hours east of UTC."""

    lang: int
    country: str
    city: str
    lat: float
    lon: float
    zone: int


PLACES: Final = (
    Place(0, "GB", "Leeds", 53.80, -1.55, 0),
    Place(0, "US", "Portland", 45.52, -122.68, -8),
    Place(0, "US", "Baltimore", 39.29, -76.61, -5),
    Place(0, "IE", "Galway", 53.27, -9.06, 0),
    Place(0, "IN", "Pune", 18.52, 73.86, 5),
    Place(0, "AU", "Hobart", -42.88, 147.33, 10),
    Place(1, "ES", "Gijón", 43.53, -5.66, 1),
    Place(1, "MX", "Puebla", 19.04, -98.20, -6),
    Place(1, "AR", "Rosario", -32.95, -60.66, -3),
    Place(2, "BR", "Recife", -8.05, -34.88, -3),
    Place(2, "PT", "Aveiro", 40.64, -8.65, 0),
    Place(3, "DE", "Kassel", 51.31, 9.49, 1),
    Place(3, "AT", "Graz", 47.07, 15.44, 1),
    Place(4, "FR", "Nantes", 47.22, -1.55, 1),
    Place(4, "CA", "Trois-Rivières", 46.34, -72.54, -5),
    Place(5, "JP", "Kanazawa", 36.56, 136.65, 9),
    Place(5, "JP", "Matsuyama", 33.84, 132.77, 9),
    Place(6, "EG", "Mansoura", 31.04, 31.38, 2),
    Place(6, "MA", "Meknes", 33.89, -5.55, 1),
    Place(7, "TR", "Eskişehir", 39.77, 30.52, 3),
    Place(7, "TR", "Trabzon", 41.00, 39.72, 3),
    Place(8, "IT", "Parma", 44.80, 10.33, 1),
)


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The inhabitants, as columns; a community's people lie behind each other."""

    seed: int
    community: I64
    """Of each person."""
    network: I64
    spammer: Bool
    activity: F64
    """Running total of how much people write; differences are each one's share."""
    first: I64
    """First person of each community, with the number of people behind the last."""
    place: I64
    """Number in `PLACES` of each community."""
    topics: I64
    """Three topics of each community, one row each."""
    home: I64
    """Network of each community."""
    weight: F64
    """How much each community writes, before the hour of the day."""
    key: U64
    """A hash of each person."""
    text: pl.DataFrame
    """did, handle, name, bio, number, acct, city, country, lat, lon: what the networks show."""

    @property
    def lang(self) -> I64:
        """Language of each person."""
        spoken: I64 = np.array([PLACES[p].lang for p in self.place])[self.community]
        return spoken


@lru_cache(maxsize=4)
def populate(seed: int, people: int) -> People:
    """Settle the world.

    Args:
        seed: All of the world follows from it.
        people: How many; a community has about 80.
    """
    count = max(10, people // 80)
    numbers = np.arange(count)
    home = _homes(count)
    size = 0.3 + noise.unit(numbers + seed * 7919, 1) ** 2 * 2
    first = np.concatenate([[0], np.round(np.cumsum(size) / size.sum() * people)]).astype(np.int64)
    community = np.repeat(numbers, np.diff(first))
    key = noise.mix(np.arange(people), noise.one(seed, 2) & 0xFFFFFFFF)
    rank = np.arange(people) - first[community]
    share = (rank + 2.0) ** -0.75
    place = (numbers * 7 + seed) % len(PLACES)  # so that no language is left out
    topics = np.stack([noise.below(numbers + seed * 7919, 4 + n, TOPICS) for n in range(3)], axis=1)
    return People(
        seed=seed,
        community=community,
        network=home[community],
        spammer=noise.chance(key, 8, _SPAMMERS) & (home[community] != MEETUP),
        activity=np.cumsum(share),
        first=first,
        place=place,
        topics=topics,
        home=home,
        weight=np.add.reduceat(share, first[:-1]),
        key=key,
        text=_profiles(key, community, home, place, topics),
    )


def _homes(count: int) -> I64:
    """A network for each community, so that every network has some."""
    bounds = np.cumsum(_SHARE)
    places = (np.arange(count) + 0.5) / count
    homes: I64 = np.searchsorted(bounds, places, side="right").clip(0, len(_SHARE) - 1)
    homes[-5:] = np.arange(5)
    return homes


def _profiles(key: U64, community: I64, home: I64, place: I64, topics: I64) -> pl.DataFrame:
    """What the networks show of a person."""
    lang = np.array([PLACES[p].lang for p in place])[community]
    number = np.arange(len(key))
    given = _pick(key, 10, lang, tuple(w.given for w in WORDS))
    family = _pick(key, 11, lang, tuple(w.family for w in WORDS))
    topic = topics[community, noise.below(key, 12, 3)]
    before = _pick(key, 13, lang, tuple(tuple(b for b, _ in w.bios) for w in WORDS))
    after = _pick(key, 13, lang, tuple(tuple(a for _, a in w.bios) for w in WORDS))
    town = [PLACES[p] for p in place]
    handle = _handles(key, number)
    return pl.DataFrame(
        {
            "did": "did:plc:" + ids.base32(key, 20, 24),
            "handle": handle,
            "name": given + " " + family,
            "bio": before + topic_names().gather(lang * TOPICS + topic) + after,
            "number": pl.Series(
                10_000_000 + number * 7919 + (key % np.uint64(7919)).astype(np.int64)
            ).cast(pl.String),
            "city": pl.Series([t.city for t in town]).gather(community),
            "country": pl.Series([t.country for t in town]).gather(community),
            "lat": np.array([t.lat for t in town])[community],
            "lon": np.array([t.lon for t in town])[community],
            "followers": (10 ** (1 + 3.2 * noise.unit(key, 14) ** 2)).astype(np.int64),
            "community": community,
            "home": home[community],
        }
    )


def _pick(key: U64, salt: int, lang: I64, pools: tuple[tuple[str, ...], ...]) -> pl.Series:
    """A phrase of the person's language."""
    return gather(pools, lang, noise.mix(key, salt))


def gather(pools: tuple[tuple[str, ...], ...], row: I64, by: U64) -> pl.Series:
    """One string of pool `row` for each, chosen by a hash."""
    flat, start, size = flattened(pools)
    return flat.gather(start[row] + (by % size[row].astype(np.uint64)).astype(np.int64))


@lru_cache(maxsize=256)
def flattened(pools: tuple[tuple[str, ...], ...]) -> tuple[pl.Series, I64, I64]:
    """Pools behind each other, where each starts, and how long each is."""
    size = np.array([len(p) for p in pools])
    return pl.Series([s for p in pools for s in p]), np.cumsum(size) - size, size


_ONSETS: Final = (
    "br",
    "k",
    "l",
    "m",
    "n",
    "or",
    "p",
    "s",
    "t",
    "v",
    "z",
    "el",
    "ka",
    "mi",
    "ro",
    "ta",
)
_RIMES: Final = (
    "ado",
    "en",
    "ia",
    "ilo",
    "ora",
    "una",
    "aster",
    "inde",
    "omi",
    "ulo",
    "ett",
    "aro",
)


def _handles(key: U64, number: I64) -> pl.Series:
    """A made-up handle each, unlike all others."""
    onset = gather((_ONSETS,), np.zeros(len(key), np.int64), noise.mix(key, 15))
    rime = gather((_RIMES,), np.zeros(len(key), np.int64), noise.mix(key, 16))
    second = gather((_ONSETS,), np.zeros(len(key), np.int64), noise.mix(key, 17))
    return onset + rime + second + pl.Series(number).cast(pl.String)


@lru_cache(maxsize=1)
def topic_names() -> pl.Series:
    """What a topic is called: language after language, topic after topic."""
    names = [
        w.topics[t % len(CATEGORIES)].format(NAMES[t][w.script])
        for w in WORDS
        for t in range(TOPICS)
    ]
    return pl.Series(names)


@lru_cache(maxsize=1)
def topic_tags() -> pl.Series:
    """The hashtag of a topic without #: language after language, topic after topic."""
    articles = ("the ", "el ", "la ", "le ", "il ", "o ", "a ", "das ")
    tags = []
    for name in topic_names():
        bare = next((name.removeprefix(a) for a in articles if name.startswith(a)), name)
        words = bare.replace("-", " ").split()
        latin = bare.isascii() or not any(c > "\u0530" for c in bare)
        parts = [w[:1].upper() + w[1:] for w in words] if latin else words
        tags.append(("" if latin else "_").join(parts))
    return pl.Series(tags)
