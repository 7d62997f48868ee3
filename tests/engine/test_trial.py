import polars as pl
from tests.engine.homes import SYSTEM, engine_in, lines, settings_in, tweet
from tests.engine.test_local import log

from earshot.engine.rows import objects
from earshot.engine.trial import try_on_files, try_on_store
from earshot.model.index import Span
from earshot.model.schema import POST

POSTS = [tweet(n, f"cat number {n}" if n % 4 == 0 else "a dog") for n in range(40)]


def test_files_and_the_store_find_the_same_and_each_post_counts_once(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(lines(*POSTS, *POSTS[:9]))
    on_files = try_on_files(str(path), "cat", clock=SYSTEM)
    with engine_in(settings_in(tmp_path)) as (rooms, engine):
        log(rooms, *POSTS)
        engine.drain()
        on_store = try_on_store(rooms.store, "cat")
    assert (on_files.posts, on_files.hits) == (on_store.posts, on_store.hits) == (40, 10)
    assert len(on_files.samples) == len(on_store.samples) == 10
    assert on_files.flat().keys() == on_store.flat().keys()
    assert {s["text"] for s in on_files.samples} == {s["text"] for s in on_store.samples}


def test_posts_as_objects_keep_their_text_whatever_is_in_it(tmp_path):
    odd = ["one\ntwo", "u2028 \u2028 u2029 \u2029", '{"a": "b"},', "😀 ünï \x0b \x85"]
    with engine_in(settings_in(tmp_path)) as (rooms, engine):
        log(rooms, *(tweet(n, text) for n, text in enumerate(odd)))
        engine.drain()
        found = objects(rooms.store.select(None, Span(), limit=10, newest_first=False))
    assert sorted(post["text"] for post in found) == sorted(odd)
    assert list(found[0])[:2] == ["source", "id"]
    assert all(post["event_time"] == "2026-01-01T12:00:00.000000Z" for post in found)
    assert objects(pl.DataFrame(schema=POST)) == []
