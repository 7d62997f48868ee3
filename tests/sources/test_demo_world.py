"""What was planted in the world is in its records."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot import formats
from earshot.sources._world import ids, noise
from earshot.sources._world.people import NETWORKS, TOPICS, WORDS, populate, topic_names, topic_tags
from earshot.sources._world.plot import REPLY, Law, scene
from earshot.sources._world.records import records
from earshot.sources._world.truth import truth

LAW = Law(seed=7, rate=150.0, people=2000)
STEP = int(dt.datetime(2026, 1, 5, 18, tzinfo=dt.UTC).timestamp() * 1e6) // LAW.step
STEPS = range(STEP, STEP + 9)


@pytest.fixture(scope="module")
def posts():
    """Posts of a few minutes, as decoding gives them."""
    frames = [records(LAW, step) for step in STEPS]
    log = pl.concat(frames).select(
        pl.lit(None, pl.Int64).alias("offset"),
        "source",
        pl.lit("").alias("connection"),
        "format",
        pl.from_epoch("at", time_unit="us").dt.replace_time_zone("UTC").alias("received_at"),
        pl.lit("").alias("key"),
        pl.lit("").alias("headers"),
        "raw",
    )
    found = formats.decode(log).posts
    return found.filter(pl.col("role") == "create").unique(["source", "id"], maintain_order=True)


@pytest.fixture(scope="module")
def planted():
    return truth(LAW, STEPS.start * LAW.step, STEPS.stop * LAW.step)


def test_in_a_burst_its_hashtags_are_said_far_more_often(posts, planted):
    assert planted.bursts.height >= 1
    for burst in planted.bursts.to_dicts():
        said = posts.filter(
            pl.col("hashtags").list.eval(pl.element().is_in(burst["hashtags"])).list.any()
        )
        inside = pl.col("created_at").is_between(burst["start"], burst["end"])
        during, else_ = said.filter(inside).height, said.filter(~inside).height
        span = posts["created_at"].max() - posts["created_at"].min()
        length = min(burst["end"], posts["created_at"].max()) - burst["start"]
        if length > dt.timedelta(seconds=20):
            assert during / length.total_seconds() > 4 * else_ / (span - length).total_seconds()


def test_communities_answer_their_own_more_than_others(posts, planted):
    home = planted.communities.select("source", "author_id", "community")
    answers = posts.filter(
        pl.col("reply_to_author").is_not_null() & (pl.col("source") == "bluesky")
    )
    pairs = answers.join(home, on=["source", "author_id"]).join(
        home, left_on=["source", "reply_to_author"], right_on=["source", "author_id"], suffix="_to"
    )
    assert pairs.height == answers.height > 1000
    within = (pairs["community"] == pairs["community_to"]).mean()
    assert within > 0.7
    assert 1 / planted.communities["community"].n_unique() < 0.1


def test_every_author_is_in_the_truth(posts, planted):
    known = planted.communities.select("source", "author_id")
    assert posts.join(known, on=["source", "author_id"], how="anti").height == 0


def test_copies_of_a_family_have_its_text(posts, planted):
    found = planted.families.join(posts.select("source", "id", "text", "kind"), on=["source", "id"])
    assert found.height >= 0.98 * planted.families.height > 100
    bare = pl.col("text").str.replace_all(r" https?://\S+| <?#\S+", "")
    exact = found.filter(pl.col("exact") & (pl.col("source") != "mastodon"))
    texts = exact.with_columns(bare).group_by("family").agg(pl.col("text").n_unique())
    assert texts["text"].max() == 1
    assert found.filter(~pl.col("exact")).height > 0.25 * found.height


def test_threads_grow_below_their_first_post(posts):
    replies = posts.filter((pl.col("kind") == "reply") & (pl.col("source") == "bluesky"))
    deep = replies.filter(pl.col("reply_to") != pl.col("root"))

    assert 0.1 < deep.height / replies.height < 0.6
    assert replies["root"].value_counts()["count"].max() > 15


def test_who_answers_comes_after_what_is_answered():
    for step in (STEP, STEP + 1):
        there = scene(LAW, step)
        rows = np.flatnonzero(there.rows.kind[there.first :] == REPLY)
        assert (there.rows.at[there.target[rows]] <= there.rows.at[there.first + rows]).all()
        assert (there.target[rows] < there.first + rows).all()
        network = there.people.network[there.rows.person]
        assert (network[there.target[rows]] == network[there.first + rows]).all()


def test_a_step_is_the_same_whatever_was_asked_before():
    first = records(LAW, STEP + 2)
    for step in range(STEP + 40, STEP + 60):
        records(LAW, step)
    assert records(LAW, STEP + 2).equals(first)


def test_steps_do_not_overlap():
    for step in (STEP, STEP + 1):
        at = records(LAW, step)["at"]
        assert at.is_sorted()
        assert at.min() >= step * LAW.step
        assert at.max() < (step + 1) * LAW.step


def test_ids_are_never_given_twice(posts):
    again = pl.concat([records(LAW, step).unique("row") for step in STEPS])
    creates = again.filter(pl.col("format") == "x_v1")
    statuses = [json.loads(raw).get("id_str") for raw in creates["raw"]]
    there = [s for s in statuses if s]
    assert len(set(there)) == len(there) > 1000
    assert posts.height > 0.75 * again.height


def test_evenings_are_busier_than_nights_where_people_live():
    day = Law(seed=7, rate=30.0, people=2000)
    base = int(dt.datetime(2026, 1, 5, tzinfo=dt.UTC).timestamp() * 1e6) // day.step
    hours = 24 * 3_600_000_000 // day.step
    people = populate(day.seed, day.people)
    japanese = [n for n, w in enumerate(WORDS) if w.lang == "ja"]
    counts = np.zeros(24)
    for step in range(base, base + hours, 30):
        there = scene(day, step)
        now = there.rows.take(slice(there.first, None))
        own = np.isin(people.lang[now.person], japanese)
        counts[int((step - base) * day.step // 3_600_000_000)] += own.sum()
    evening, night = counts[[10, 11, 12]].sum(), counts[[18, 19, 20]].sum()  # UTC; Japan is +9
    assert evening > 2 * night


def test_phrases_can_stand_in_json_as_they_are():
    texts = [*topic_names(), *topic_tags()]
    for words in WORDS:
        for phrases in (words.openers, words.chatter, words.good, words.bad, words.plain):
            texts += phrases
        texts += [*words.replies, *words.spam, *words.given, *words.family]
        texts += ["".join(pair) for pair in (*words.frames, *words.details, *words.bios)]
    for text in texts:
        assert json.loads(f'"{text}"') == text
        assert "$" not in text
    assert len(topic_names()) == len(WORDS) * TOPICS


@given(st.integers(0, 2**40), st.integers(0, 2**63))
def test_record_keys_keep_the_order_of_time(at, key):
    both = ids.tid(np.array([at, at + 1]), np.array([key, 0], np.uint64))
    assert both[0] < both[1]
    assert both.str.len_chars().to_list() == [13, 13]


def test_chance_is_even():
    drawn = noise.unit(np.arange(100_000), 3)
    assert np.abs(np.histogram(drawn, 10, (0, 1))[0] / 10_000 - 1).max() < 0.04
    assert abs(np.corrcoef(drawn, noise.unit(np.arange(100_000), 4))[0, 1]) < 0.01


def test_all_networks_have_people_and_spammers_are_few():
    people = populate(7, 3000)
    assert set(people.network) == set(range(len(NETWORKS)))
    assert 0 < people.spammer.mean() < 0.03
