"""`kill -9` at any moment loses nothing and doubles nothing."""

import multiprocessing
import os
import random

import pytest
from polars.testing import assert_frame_equal
from tests.engine import children
from tests.engine.homes import NOON, SYSTEM, deleted, lines, settings_in, tweet

from earshot.engine.home import lake_of, open_rooms
from earshot.engine.operate import seal_now
from earshot.engine.windows import top_of
from earshot.model.index import Span

ROUNDS = int(os.environ.get("EARSHOT_KILL_ROUNDS", "5"))
LINES = 2_000
BATCH = 97
LOADED = (
    "tests.engine.children",
    "earshot.engine.replay",
    "earshot.control.sqlite",
    "earshot.lake.file",
    "earshot.log.sqlite",
    "earshot.sources.archive",
    "earshot.store.sqlite",
)


@pytest.fixture(scope="module")
def run():
    """Replays in a process that has imported everything already; gives its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))

    def start(home, path, *, kill_at=0, after_s=0.0):
        call = (home, path, BATCH, kill_at, after_s)
        process = context.Process(target=children.replay_into, args=call)
        process.start()
        process.join(200)
        return process.exitcode

    return start


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Posts, quotes, duplicates, deletes of posts before and to come, torn lines."""
    rng, said = random.Random(11), []
    for n in range(LINES):
        dice = rng.random()
        if dice < 0.05:
            said.append(deleted(rng.randrange(LINES + 200)))
        elif dice < 0.07:
            said.append("{torn")
        else:
            number = n if dice < 0.85 else rng.randrange(LINES)
            at = NOON.replace(minute=number * 40 // LINES)
            more = {"quoted_status": tweet(10_000 + number % 50)} if dice > 0.97 else {}
            said.append(tweet(number, at=at, **more))
    path = tmp_path_factory.mktemp("archive") / "x.jsonl"
    path.write_text(lines(*said))
    return path


def all_of(settings):
    """What a home has come to, as far as people can see it."""
    with open_rooms(settings, SYSTEM, writable=False) as rooms:
        counts = rooms.store.counts().sort("source", "rule", "name").rows()
        posts = rooms.store.select(None, Span(), limit=100_000, newest_first=False)
        keys = posts.drop("received_at", "offset")
        tops = [
            top_of(rooms.store, facet, width, NOON.replace(hour=13), limit=50).rows()
            for facet in ("hashtag", "word", "author", "total")
            for width in (300, 3600)
        ]
        waiting = rooms.log.head() - rooms.store.offset()
    seal_now(settings, SYSTEM)
    with lake_of(settings) as lake:
        lake_keys = lake.sql("SELECT source, id, text FROM posts ORDER BY ALL").rows()
    return {"counts": counts, "posts": keys, "tops": tops, "waiting": waiting, "lake": lake_keys}


@pytest.fixture(scope="module")
def undisturbed(run, archive, tmp_path_factory):
    """What an undisturbed replay comes to, and how many writes it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(folder / "home", archive) == 0
    return all_of(settings_in(folder)), int((folder / "home" / "writes").read_text())


def test_the_undisturbed_run_has_something_of_everything(undisturbed):
    whole, writes = undisturbed
    names = {name for _, _, name, n in whole["counts"] if n}
    assert names >= {"unique", "duplicate", "deletes", "quarantined", "embedded_new"}
    assert whole["posts"].height > 500
    assert len(whole["lake"]) == whole["posts"].height
    assert writes > LINES / BATCH


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_killed_at_any_moment_it_comes_to_the_same(run, archive, undisturbed, tmp_path, seed):
    expected, writes = undisturbed
    rng, home = random.Random(seed), tmp_path / "home"
    left, kills = writes, 0
    while kills < 3 and left > 1:
        at = rng.randint(1, left)
        if run(home, archive, kill_at=at, after_s=rng.choice((0, 0, 0.001, 0.004))) == 0:
            break  # what was left to do took fewer writes
        left, kills = left - at, kills + 1
    assert kills, "it was never killed: the round shows nothing"
    assert run(home, archive) == 0

    found = all_of(settings_in(tmp_path))
    assert found["waiting"] == 0
    assert found["counts"] == expected["counts"]
    assert_frame_equal(found["posts"], expected["posts"])
    assert found["tops"] == expected["tops"]
    assert found["lake"] == expected["lake"]
