"""Real tweets of a public stream, all the way; they stay outside the repository."""

from itertools import islice

import polars as pl
import pytest
from tests.pipeline.memory import MemoryStore
from tests.pipeline.world import NOON

from earshot.model.schema import RECORD
from earshot.pipeline import flow
from earshot.rules import compile_rules


@pytest.fixture(scope="module")
def records(shared_data):
    with (shared_data / "x_v1_stream" / "stream.jsonl").open("rb") as lines:
        raws = [line for line in islice(lines, 700) if line.strip()]
    rows = [
        (n, "x", "test", "x_v1", NOON, "", '{"archive":true}', raw) for n, raw in enumerate(raws)
    ]
    times = pl.col("received_at") + pl.duration(milliseconds=pl.col("offset"))
    return pl.DataFrame(rows, RECORD, orient="row").with_columns(times)


def worked(records, size, store=None):
    store = store or MemoryStore()
    for start in range(0, records.height, size):
        prepared = flow.prepare(records[start : start + size])
        texts = store.known_texts(prepared.text_hashes)
        state = flow.with_texts(store.state(prepared.wanted), texts)
        matched = flow.matched(prepared, compile_rules([]), flow.FlowOptions())
        store.apply(flow.run(matched, state, flow.FlowOptions()).changes)
    return store


def test_batches_of_any_size_give_the_same_store(records):
    assert worked(records, 4096).content() == worked(records, 83).content()


def test_the_second_run_finds_only_duplicates_and_what_it_counted_otherwise_again(records):
    store = worked(records, 4096)
    posts, deletes = set(store.posts), store.total("deletes")
    creates = store.total("unique") + store.total("duplicate")
    unique, texts = store.total("unique"), {k: p["text"] for k, p in store.posts.items()}
    later = pl.col("received_at") + pl.duration(hours=1)
    worked(records.with_columns(later, pl.col("offset") + records.height), 83, store)

    assert (store.total("unique"), store.total("deletes")) == (unique, 2 * deletes)
    assert store.total("duplicate") == creates + (creates - unique)
    assert set(store.posts) == posts
    assert {k: p["text"] for k, p in store.posts.items()} == texts
