"""The score of a post is the weighted growth of its counters, in thousandths."""

import polars as pl
import pytest

from earshot.model.schema import COUNTERS
from earshot.pipeline.score import Weights, observed_score, own_score


def score(source, *, base=False, before=None, weights=None, **seen):
    row = {"source": source, "base": base}
    row |= {f"seen_{c}": seen.get(c) for c in COUNTERS}
    row |= {f"before_{c}": (before or {}).get(c) for c in COUNTERS}
    types = {c: pl.Int64 for c in row if c.startswith(("seen", "before"))}
    frame = pl.DataFrame([row], schema_overrides=types)
    return observed_score(frame, weights or Weights()).item()


@pytest.mark.parametrize("source", ["x", "bluesky", "mastodon"])
def test_replies_reposts_and_likes_weigh_two_five_and_three(source):
    assert score(source, replies=1, reposts=1, likes=1) == 200 + 500 + 300


def test_reddit_weighs_comments_and_its_own_score():
    assert score("reddit", replies=10, score=10, likes=99) == 2000 + 8000


def test_only_the_growth_since_last_seen_counts():
    assert score("x", likes=7, before={"likes": 4}) == 900
    assert score("x", likes=4, before={"likes": 7}) == -900


def test_a_counter_that_was_not_told_has_not_changed():
    assert score("x", likes=None, reposts=2, before={"likes": 4, "reposts": 1}) == 500


def test_the_first_sight_of_an_embedded_post_scores_nothing():
    assert score("x", base=True, likes=1000) == 0


def test_weights_are_settings():
    assert score("x", likes=1, weights=Weights(likes=2.5)) == 2500


def test_each_rsvp_counts_one():
    posts = pl.DataFrame({"source": ["meetup", "meetup", "x"], "kind": ["rsvp", "event", "rsvp"]})
    assert own_score(posts, Weights()).to_list() == [1000, 0, 0]
    assert score("meetup", likes=5, replies=5) == 0
