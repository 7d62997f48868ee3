"""The stages strung together: what is kept, what is counted, what the store is told."""

import itertools
from dataclasses import dataclass

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.memory import MemoryStore
from tests.pipeline.test_dedupe import ANYTHING, CUTS, QUICK, work, world
from tests.pipeline.world import NOON, create, delete, frames, like, log, update

from earshot.model.document import document
from earshot.model.rule import RuleVersion
from earshot.model.schema import RECORD, STORED
from earshot.model.tokens import tokenize
from earshot.pipeline import flow
from earshot.pipeline.flow import FlowOptions
from earshot.rules import compile_rules, match


def rules(*texts):
    return compile_rules(
        [
            RuleVersion(n, 1, 1, f"rule {n}", text, active_from=NOON)
            for n, text in enumerate(texts, start=1)
        ]
    )


SUN = rules("sun", "sun OR moon")
KNOWING = rules("sun", "is:copy", "is:late", "-is:copy moon", "likes:2..", "-likes:1..", "has:geo")
"""Rules about what a batch alone does not tell."""


@QUICK
@given(ANYTHING, CUTS, st.sampled_from((1.0, 400.0)))
def test_hits_are_those_of_the_posts_as_they_are_stored(happenings, cuts, step):
    records, store = log(*happenings, step=step), MemoryStore()
    edges = sorted({0, len(records), *(c for c in cuts if c < len(records))})
    for start, end in itertools.pairwise(edges):
        flowed = work(store, records[start:end], KNOWING)
        stored = flowed.changes.posts
        again = match(KNOWING, stored, tokenize(document(stored), index=True))
        keys = stored["source", "id"][again["post"]].hstack(again["rule", "rule_version"])

        assert sorted(flowed.changes.hits.rows()) == sorted(keys.rows())


def test_posts_come_with_their_tokens_and_tags_for_the_index():
    flowed = work(MemoryStore(), log(create("1", text="The Sun, #Today")), SUN)
    row = flowed.changes.posts.to_dicts()[0]

    assert flowed.changes.posts.columns == [*STORED, "index", "tags", "bands"]
    assert row["index"].split() == ["the", "sun", "#today", "today"]
    assert {"s_x", "k_post", "r1", "r2", "h_hashtags"} <= set(row["tags"].split())


def test_the_rules_that_match_are_hits_and_marks_of_the_flow_and_of_each_rule():
    store = MemoryStore()
    work(
        store, log(create("1", text="sun"), create("2", text="moon"), create("3", text="rain")), SUN
    )

    assert store.hits == {("x", "1"): {(1, 1), (2, 1)}, ("x", "2"): {(2, 1)}, ("x", "3"): set()}
    assert store.total("matched") == 2
    assert (store.total("matched", rule=1), store.total("matched", rule=2)) == (1, 2)
    assert store.total("stored", rule=2) == 2


def test_an_edit_replaces_the_hits_of_its_post_and_counts_no_match():
    store = MemoryStore()
    for record in log(create("1", text="sun"), update("1", text="moon")):
        work(store, [record], SUN)

    assert store.hits["x", "1"] == {(2, 1)}
    assert store.total("matched", rule=1) == 1
    assert store.total("matched") == 1


def test_a_create_edited_or_deleted_in_its_own_batch_is_counted_as_what_it_said():
    store = MemoryStore()
    records = log(
        create("1", text="sun"), update("1", text="rain"), create("2", text="sun"), delete("2")
    )
    work(store, records, SUN)

    assert store.total("matched", rule=1) == 2
    assert store.hits == {("x", "1"): set()}


def test_what_matches_nothing_is_remembered_only_where_matched_posts_are_kept():
    store = MemoryStore()
    records = log(
        create("1", text="sun"), create("2", text="rain"), create("2", text="rain"), like("k", "2")
    )
    classes = []
    for record in records:
        classes += work(store, [record], SUN, keep="matched").classes.to_list()

    assert classes == ["unique", "unique", "duplicate", "interactions"]
    assert set(store.posts) == {("x", "1")}
    assert set(store.remembered) == {("x", "2")}
    assert store.interactions == store.observations == {}
    assert (store.total("stored"), store.total("matched")) == (1, 1)


def test_an_edit_that_begins_to_match_stores_the_post_and_one_that_ends_to_keeps_it():
    store = MemoryStore()
    records = log(create("1", text="rain"), update("1", version=1, text="sun"))
    for record in records:
        work(store, [record], SUN, keep="matched")

    assert store.posts["x", "1"]["consumed"]
    work(store, log(update("1", version=2, text="rain")), SUN, keep="matched")
    assert store.posts["x", "1"]["text"] == "rain"
    assert store.hits["x", "1"] == set()


@QUICK
@given(ANYTHING, CUTS)
def test_where_batches_are_cut_makes_no_difference_to_hits(happenings, cuts):
    records = log(*happenings)
    whole, cut = MemoryStore(), MemoryStore()
    work(whole, records, SUN)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(records)], strict=True):
        work(cut, records[start:end], SUN)

    assert cut.content() == whole.content()


@dataclass(frozen=True)
class Finder:
    """Finds every post to be Latin."""

    def enrich(self, posts, tokens):
        assert len(tokens.text_hash) == posts.height
        return posts.with_columns(lang_detected=pl.lit("la"))


def test_the_enricher_fills_columns_before_they_are_stored():
    store = MemoryStore()
    work(store, log(create("1")), enricher=Finder())

    assert store.posts["x", "1"]["lang_detected"] == "la"


def test_an_empty_batch_changes_nothing():
    assert world([]).content() == MemoryStore().content()
    prepared = flow.prepare_decoded(*frames([]))
    flowed = flow.run(
        flow.matched(prepared, SUN, FlowOptions()), flow.State.nothing(), FlowOptions()
    )
    assert all(f.is_empty() for f in (flowed.changes.posts, flowed.changes.counts, flowed.posts))


def jetstream(rkey, text, at=NOON):
    """A commit as Jetstream writes it."""
    record = {"$type": "app.bsky.feed.post", "createdAt": at.isoformat(), "text": text}
    commit = {
        "rev": rkey, "operation": "create", "collection": "app.bsky.feed.post", "rkey": rkey,
        "record": record | {"langs": ["pt-BR"]}, "cid": "bafy",
    }  # fmt: skip
    micros = int(at.timestamp() * 1e6)
    return {"did": "did:plc:ada", "time_us": micros, "kind": "commit", "commit": commit}


def records_of(*raws):
    rows = [(n, "bluesky", "test", "jetstream", NOON, "", "", raw) for n, raw in enumerate(raws)]
    return pl.DataFrame(rows, RECORD, orient="row")


def test_a_record_goes_the_whole_way_from_its_bytes_to_the_store():
    bytes_ = msgspec.json.encode(
        jetstream("3lcaaaaaaaa2a", "Bom dia #Lisboa https://example.com/a")
    )
    prepared = flow.prepare(records_of(bytes_, b"{broken"))
    flowed = flow.run(
        flow.matched(prepared, rules("#lisboa"), FlowOptions()), flow.State.nothing(), FlowOptions()
    )
    row = flowed.changes.posts.row(0, named=True)

    assert flowed.classes.to_list() == ["unique", "quarantined"]
    assert (row["hashtags"], row["lang"], row["consumed"]) == (["Lisboa"], "pt", True)
    assert flowed.changes.hits.height == 1
    assert flowed.changes.quarantine["raw"].to_list() == [b"{broken"]


@pytest.mark.parametrize("keep", ["all", "matched"])
def test_posts_and_tokens_of_the_result_belong_together(keep):
    flowed = work(
        MemoryStore(), log(create("1", text="sun"), create("2"), delete("2")), SUN, keep=keep
    )

    assert flowed.posts["text_hash"].to_list() == flowed.tokens.text_hash.tolist()
    assert flowed.embedded == {}


@given(st.lists(st.sampled_from(["sun", "moon", "sun moon", ""]), max_size=6))
def test_all_posts_of_a_batch_can_be_annotated_whatever_is_known(texts):
    happenings = log(*(create(str(n), text=text) for n, text in enumerate(texts)))
    found = flow.annotated(flow.prepare_decoded(*frames(happenings)))

    assert found.posts["text"].to_list() == texts
    assert len(found.tokens.text_hash) == len(texts)
