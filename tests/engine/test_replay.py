import asyncio
import json
import threading

import msgspec
import polars as pl
import pytest
from tests.engine.homes import (
    SYSTEM,
    Scripted,
    deleted,
    engine_in,
    items,
    lines,
    running_engine,
    settings_in,
    small_log,
    tweet,
)

from earshot.engine import replay as replaying
from earshot.engine.collect import records_of
from earshot.engine.home import open_rooms
from earshot.engine.replay import connection_of, replay, take_in, wait_for
from earshot.errors import EarshotError, FormatError, NotFoundError, UsageError
from earshot.model.schema import FLOW_CLASSES
from earshot.sources import Chunk

DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"


def bluesky(operation, rkey, text=None, collection="app.bsky.feed.post"):
    said = {"rev": "3mptbypcq372f", "operation": operation, "collection": collection, "rkey": rkey}
    if text is not None:
        said["record"] = {"$type": collection, "createdAt": "2026-01-01T11:59:58Z", "text": text}
    return {"did": DID, "time_us": 1767268799000000, "kind": "commit", "commit": said}


def status(number, **more):
    return {
        "id": str(number),
        "created_at": "2026-01-01T11:59:58.000Z",
        "visibility": "public",
        "uri": f"https://one.test/users/ada/statuses/{number}",
        "content": f"<p>toot number {number}</p>",
        "account": {"id": "9", "acct": "ada"},
        **more,
    }


X_V2 = {
    "data": [
        {
            "id": str(n),
            "text": f"page {n}",
            "created_at": "2026-01-01T11:59:58.000Z",
            "author_id": "9",
        }
        for n in (21, 22)
    ],
    "includes": {"users": [{"id": "9", "username": "ada", "name": "Ada"}]},
}
COMMENT = {
    "id": "c1", "name": "t1_c1", "author": "ada", "subreddit": "knots", "body": "a reef knot",
    "link_id": "t3_s1", "parent_id": "t3_s1", "created_utc": 1767268798, "score": 3,
}  # fmt: skip
RSVP = {
    "rsvp_id": 50,
    "mtime": 1767268798000,
    "visibility": "public",
    "response": "yes",
    "guests": 1,
    "member": {"member_id": 9, "member_name": "Ada"},
    "event": {"event_id": "e1", "event_name": "Knots", "event_url": "https://m.test/e1/"},
    "group": {"group_urlname": "knots", "group_name": "Knots", "group_topics": []},
}

FILES = {
    "x_v1": (
        lines(
            tweet(1), tweet(2), tweet(1), deleted(2), deleted(77), "{torn", {"limit": {"track": 5}}
        ),
        {"unique": 2, "duplicate": 1, "deletes": 2, "quarantined": 1, "control": 1},
    ),
    "x_v1_quotes": (
        lines(tweet(1, quoted_status=tweet(5)), tweet(2, quoted_status=tweet(5)), tweet(5)),
        {"unique": 3, "embedded_new": 1, "embedded_seen": 1},
    ),
    "x_v2": (json.dumps(X_V2), {"unique": 2}),
    "jetstream": (
        lines(
            bluesky("create", "3mptbyoeyc22k", "hello"),
            bluesky("create", "3mptbyoeyc22l", "bye"),
            bluesky("delete", "3mptbyoeyc22l"),
            bluesky("create", "3mptbyoeyc22m", collection="app.bsky.graph.follow"),
        ),
        {"unique": 2, "deletes": 1, "interactions": 1},
    ),
    "mastodon": (
        lines(status(1), status(2), status(3, visibility="private")),
        {"unique": 2, "control": 1},
    ),
    "reddit": (lines(COMMENT, {**COMMENT, "score": 9}), {"unique": 1, "duplicate": 1}),
    "meetup": (lines(RSVP, {**RSVP, "rsvp_id": 51}), {"unique": 2}),
    "csv": (
        "id,text,created_at,user\n1,hi there,2026-01-01 11:59:58,ada\n2,,,\n",
        {"unique": 1, "quarantined": 1},
    ),
}
AGAIN = ("deletes", "interactions", "control", "quarantined", "updates")


def brought(done):
    return {
        k: n
        for k, n in done.flat().items()
        if n and k in (*FLOW_CLASSES, "embedded_new", "embedded_seen")
    }


def run(settings, path, **options):
    return replay(settings, SYSTEM, [str(path)], options=options)


def stored(settings):
    with open_rooms(settings, SYSTEM, writable=False) as rooms:
        return rooms.store.bounds(), rooms.store.counts()


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_accounted_for_and_a_second_run_adds_nothing(tmp_path, name):
    text, expected = FILES[name]
    path, settings = tmp_path / f"{name}.txt", settings_in(tmp_path)
    path.write_text(text)

    first = run(settings, path)
    assert brought(first) == expected
    assert first.flat()["consumed"] == sum(expected.get(c, 0) for c in FLOW_CLASSES)

    again = brought(run(settings, path))
    creates = expected.get("unique", 0) + expected.get("duplicate", 0)
    seen = expected.get("embedded_new", 0) + expected.get("embedded_seen", 0)
    kept = {k: expected[k] for k in AGAIN if k in expected}
    assert again == {"duplicate": creates, **({"embedded_seen": seen} if seen else {}), **kept}

    sums = dict(stored(settings)[1].group_by("name").agg(pl.col("n").sum()).iter_rows())
    assert sums["unique"] == expected["unique"]


def test_a_replay_beside_a_running_engine_tells_the_same_exactly_and_at_once(tmp_path):
    path, settings = tmp_path / "x.jsonl", settings_in(tmp_path)
    path.write_text(FILES["x_v1"][0] + FILES["x_v1_quotes"][0])
    with running_engine(settings):
        first, again = run(settings, path), run(settings, path)
    assert brought(first) == {
        "unique": 3, "duplicate": 3, "deletes": 2, "quarantined": 1, "control": 1,
        "embedded_new": 1, "embedded_seen": 1,
    }  # fmt: skip
    assert brought(again)["duplicate"] == 6
    assert again.stage_us == {}


def test_only_what_a_replays_own_connection_brings_is_told(tmp_path):
    mine, others = tmp_path / "mine.jsonl", tmp_path / "others.jsonl"
    mine.write_text(lines(tweet(1, quoted_status=tweet(9))))
    others.write_text(lines(*(tweet(n, quoted_status=tweet(n + 500)) for n in range(100, 300))))
    settings = settings_in(tmp_path)
    with running_engine(settings):
        side = threading.Thread(target=run, args=(settings, others))
        side.start()
        done = run(settings, mine)
        side.join()
    assert brought(done) == {"unique": 1, "embedded_new": 1}


def test_the_same_paths_are_the_same_connection(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("")
    monkeypatch.chdir(tmp_path)
    assert connection_of(["a"]) == connection_of([str(tmp_path / "a")]) == connection_of(["./a"])
    assert connection_of(["a"]) != connection_of(["b"]) != connection_of(["-"])


# -- what goes wrong -----------------------------------------------------------------------
@pytest.mark.parametrize("beside", [False, True])
def test_a_source_that_fails_midway_ends_the_replay_and_what_it_gave_is_stored(tmp_path, beside):
    settings = settings_in(tmp_path)
    given = Chunk(items=items(tweet(1), tweet(2)), cursor="half")
    source = Scripted(given, FormatError("disk torn"), live=False)

    def go():
        with pytest.raises(FormatError, match="disk torn"):
            take_in(settings, SYSTEM, source, "c")

    if beside:
        with running_engine(settings):
            go()
            assert dict(stored(settings)[1].select("name", "n").iter_rows())["unique"] == 2
    else:
        go()
    assert dict(stored(settings)[1].select("name", "n").iter_rows())["unique"] == 2


def test_a_path_that_is_not_there_is_wrong_use(tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        run(settings_in(tmp_path), tmp_path / "nowhere.jsonl")


def test_a_file_without_payloads_is_wrong_use_and_nothing_is_taken(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"\x00\x01\x02 nothing of any network " * 20)
    with pytest.raises(UsageError):
        run(settings_in(tmp_path), path)
    assert stored(settings_in(tmp_path))[1].is_empty()


def test_an_engine_that_fails_ends_the_replay_and_the_next_run_goes_on(tmp_path, monkeypatch):
    path, settings = tmp_path / "x.jsonl", settings_in(tmp_path)
    path.write_text(lines(*(tweet(n) for n in range(50))))

    def broken(*_):
        raise EarshotError("the log is damaged")

    with monkeypatch.context() as patch:
        patch.setattr("earshot.engine.local.LocalEngine._commit", broken)
        with pytest.raises(EarshotError, match="damaged"):
            run(settings, path)
    done = run(settings, path)
    counts = dict(stored(settings)[1].select("name", "n").iter_rows())
    assert counts["unique"] == 50
    assert done.flat()["consumed"] >= 50


def test_stopped_in_the_middle_it_goes_on_at_its_cursor(tmp_path, monkeypatch):
    """What a signal does: it strikes in the thread that waits, and nowhere else."""
    settings = settings_in(tmp_path)
    source = Scripted(Chunk(items=items(tweet(1)), cursor="one"), live=False)
    asked = threading.Event()

    async def pause():
        asked.set()
        await asyncio.Event().wait()

    source._script.append(pause)

    def strike(self):
        assert asked.wait(20)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(replaying._Working, "wait", strike)
        with pytest.raises(KeyboardInterrupt):
            take_in(settings, SYSTEM, source, "c")
    with engine_in(settings) as (rooms, _):
        assert rooms.log.cursor("c") == "one"
        assert rooms.store.dirty().is_empty()
        assert msgspec.json.decode(rooms.log.reports()["c"])["state"] == "stopped"
    rest = Scripted(Chunk(items=items(tweet(2)), cursor="two"), live=False)
    assert brought(take_in(settings, SYSTEM, rest, "c"))["unique"] >= 1
    assert rest.cursors == ["one"]
    assert dict(stored(settings)[1].select("name", "n").iter_rows())["unique"] == 2


def test_more_than_the_log_may_hold_is_replayed_all_the_same(tmp_path):
    settings, path = small_log(tmp_path, megabytes=0.6), tmp_path / "x.jsonl"
    texts = (f"{n * 2654435761 % 10**12} {n * 40503 % 10**9} " * 6 for n in range(20_000))
    path.write_text(lines(*(tweet(n, text) for n, text in enumerate(texts))))
    assert path.stat().st_size > 6 * 600_000
    assert brought(run(settings, path)) == {"unique": 20_000}
    with open_rooms(settings, SYSTEM, writable=False) as rooms:
        assert rooms.log.oldest() > 0


def test_an_engine_that_stands_still_is_not_waited_for_for_ever(tmp_path):
    with open_rooms(settings_in(tmp_path), SYSTEM, writable=False) as rooms:
        rooms.log.append(records_of(Chunk(items=items(tweet(1))), "c", SYSTEM.now()))
        with pytest.raises(EarshotError, match="stands still at offset 0") as caught:
            wait_for(rooms, 0, stalled_s=0.1)
    assert "safe in the log" in caught.value.hint
