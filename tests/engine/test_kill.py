"""`kill -9` at any moment loses nothing and doubles nothing."""

import multiprocessing
import os
import random

import polars as pl
import pytest
from tests.engine import children
from tests.engine.children import CLOCK
from tests.engine.homes import NOON, deleted, lines, settings_in, tweet
from tests.faults.whole import assert_same, everything

ROUNDS = int(os.environ.get("EARSHOT_KILL_ROUNDS", "3"))
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
            quoted = tweet(10_000 + number % 50, favorite_count=n)
            more = {"quoted_status": quoted} if dice > 0.97 else {"favorite_count": n % 9}
            said.append(tweet(number, at=at, **more))
    path = tmp_path_factory.mktemp("archive") / "x.jsonl"
    path.write_text(lines(*said))
    return path


def all_of(folder):
    """What a home has come to."""
    return everything(settings_in(folder), CLOCK)


@pytest.fixture(scope="module")
def undisturbed(run, archive, tmp_path_factory):
    """What an undisturbed replay comes to, and how many writes it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(folder / "home", archive) == 0
    return all_of(folder), int((folder / "home" / "writes").read_text())


def test_the_undisturbed_run_has_something_of_everything(undisturbed):
    whole, writes = undisturbed
    names = set(whole["counts"].filter(pl.col("n") > 0)["name"])
    assert names >= {"unique", "duplicate", "deletes", "quarantined", "embedded_new"}
    assert whole["posts"].height > 500
    assert whole["lake"].height == whole["posts"].height
    assert whole["observations"].height
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

    found = all_of(tmp_path)
    assert found["waiting"]["n"].item() == 0
    assert_same(found, expected)
