"""What was planted in the world, to compare with what is found in it."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from earshot.model.schema import TIME
from earshot.sources._world import ids
from earshot.sources._world.noise import I64, Bool
from earshot.sources._world.people import (
    BLUESKY,
    LANGUAGES,
    NETWORKS,
    PLACES,
    REDDIT,
    TOPICS,
    People,
    X,
    populate,
    topic_names,
    topic_tags,
)
from earshot.sources._world.plot import POST, Law, Rows, bursts, happenings
from earshot.sources._world.text import varied


@dataclass(frozen=True, slots=True)
class Truth:
    """The ground truth of a span of the world."""

    bursts: pl.DataFrame
    """burst, topic (number), name (in English), hashtags (of all languages), start, end, factor."""
    communities: pl.DataFrame
    """community, source, author_id, handle, language, country, spammer: one row a person."""
    families: pl.DataFrame
    """family, source, id, at, exact: copies of one text; those not exact are lightly changed."""

    def to_json(self) -> dict[str, Any]:
        """The same as plain values, times as text."""
        frames = {"bursts": self.bursts, "communities": self.communities, "families": self.families}
        return {
            name: frame.with_columns(pl.selectors.datetime().dt.to_string("iso:strict")).to_dicts()
            for name, frame in frames.items()
        }


def truth(law: Law, since: int, until: int) -> Truth:
    """What was planted between two moments.

    Args:
        law: Of the world.
        since: µs since 1970.
        until: µs since 1970, not included.
    """
    people = populate(law.seed, law.people)
    return Truth(
        _bursts(law, since, until), communities(people), _families(law, people, since, until)
    )


def _bursts(law: Law, since: int, until: int) -> pl.DataFrame:
    """Bursts that touch the span."""
    found = bursts(law, since, until)
    tags, names = topic_tags().to_list(), topic_names().to_list()
    every = range(len(LANGUAGES))
    return pl.DataFrame(
        {
            "burst": found.number,
            "topic": found.topic,
            "name": [names[t] for t in found.topic],
            "hashtags": [[tags[lang * TOPICS + t] for lang in every] for t in found.topic],
            "start": pl.Series(found.start).cast(TIME),
            "end": pl.Series(found.end).cast(TIME),
            "factor": found.factor,
        },
        schema_overrides={"hashtags": pl.List(pl.String), "name": pl.String},
    )


def communities(people: People) -> pl.DataFrame:
    """Who belongs where; ids as the posts of that network carry them."""
    places = [PLACES[p] for p in people.place[people.community]]
    network = people.network
    author = (
        pl.when(pl.col("network") == BLUESKY)
        .then("did")
        .when(pl.col("network") == REDDIT)
        .then("handle")
        .otherwise("number")
    )
    return people.text.with_columns(network=pl.Series(network)).select(
        "community",
        pl.Series("source", NETWORKS).gather(network).alias("source"),
        author.alias("author_id"),
        "handle",
        pl.Series([LANGUAGES[p.lang] for p in places]).alias("language"),
        pl.Series([p.country for p in places]).alias("country"),
        pl.Series(people.spammer).alias("spammer"),
    )


def _families(law: Law, people: People, since: int, until: int) -> pl.DataFrame:
    """Copied texts of the span."""
    parts = [_copies(law, people, step) for step in range(since // law.step, -(-until // law.step))]
    frame = pl.concat(parts)
    span = pl.col("at").is_between(
        pl.lit(since).cast(TIME), pl.lit(until).cast(TIME), closed="left"
    )
    return frame.filter(span)


def _copies(law: Law, people: People, step: int) -> pl.DataFrame:
    """Copied texts of a step."""
    rows = happenings(law, step)
    some = rows.take((rows.family >= 0) & (rows.kind == POST))
    network = people.network[some.person]
    return pl.DataFrame(
        {
            "family": some.family,
            "source": pl.Series(NETWORKS).gather(network),
            "id": _post_ids(people, some, network),
            "at": pl.Series(some.at).cast(TIME),
            "exact": ~varied(some),
        }
    )


def _post_ids(people: People, rows: Rows, network: I64) -> pl.Series:
    """Ids as decoding gives them."""
    key = ids.tid(rows.at, rows.uid)
    uri = "at://" + people.text["did"].gather(rows.person) + "/app.bsky.feed.post/" + key
    is_x: Bool = network == X
    number = pl.DataFrame(
        {"x": ids.snowflake(rows.at, rows.seq), "m": ids.status(rows.at, rows.seq)}
    )
    chosen = number.select(pl.when(pl.Series(is_x)).then("x").otherwise("m").alias("id"))["id"]
    both = pl.DataFrame({"uri": uri, "number": chosen})
    first: Bool = network == BLUESKY
    return both.select(pl.when(pl.Series(first)).then("uri").otherwise("number").alias("id"))["id"]
