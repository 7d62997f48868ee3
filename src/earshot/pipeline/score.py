"""How much attention a post won in a minute: the weighted growth of its counters."""

from dataclasses import dataclass

import polars as pl

RSVP = "rsvp"


@dataclass(frozen=True, slots=True)
class Weights:
    """What one more reply, repost, like … is worth; one of the settings."""

    replies: float = 0.2
    reposts: float = 0.5
    likes: float = 0.3
    reddit_comments: float = 0.2
    reddit_score: float = 0.8
    meetup_rsvp: float = 1.0


def observed_score(observed: pl.DataFrame, weights: Weights) -> pl.Series:
    """Score of each observation, in integer thousandths: weight x (seen - seen before).

    A counter never seen before counts from 0; one that was not told has not changed; the first
    sight of an embedded post (`base`) scores nothing.

    Args:
        observed: `source`, `base`, `seen_<counter>` and `before_<counter>` (null: never).
        weights: Worth of one more of each counter.
    """
    score = (
        pl.when(pl.col("base"))
        .then(0)
        .when(pl.col("source") == "reddit")
        .then(_grown("replies", weights.reddit_comments) + _grown("score", weights.reddit_score))
        .when(pl.col("source") == "meetup")
        .then(0)
        .otherwise(
            _grown("replies", weights.replies)
            + _grown("reposts", weights.reposts)
            + _grown("likes", weights.likes)
        )
    )
    return observed.select(score.cast(pl.Int64).alias("score")).to_series()


def own_score(posts: pl.DataFrame, weights: Weights) -> pl.Series:
    """Score that a post has by being there, in thousandths: RSVPs, which have no counters."""
    rsvp = (pl.col("source") == "meetup") & (pl.col("kind") == RSVP)
    worth = pl.when(rsvp).then(thousandths(weights.meetup_rsvp)).otherwise(0)
    return posts.select(worth.cast(pl.Int64).alias("score")).to_series()


def thousandths(weight: float) -> int:
    """A weight as the integer that scores are reckoned with."""
    return round(weight * 1000)


def _grown(counter: str, weight: float) -> pl.Expr:
    seen, before = pl.col(f"seen_{counter}"), pl.col(f"before_{counter}")
    return (seen - before.fill_null(0)).fill_null(0) * thousandths(weight)
