"""Each benchmark, tiny: its fields are there and add up. How long it takes is nobody's business."""

import asyncio
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from earshot.clock import SystemClock
from earshot.engine.bench import profile, queries, world
from earshot.engine.bench.burst import Burst, measure_burst
from earshot.engine.bench.growth import measure_store
from earshot.engine.bench.matching import measure_rules
from earshot.engine.bench.peer import Post, as_regexes, read
from earshot.engine.bench.pipeline import measure_pipeline
from earshot.engine.bench.queries import measure_queries
from earshot.engine.bench.rule_texts import rule_texts
from earshot.engine.bench.serving import measure_serving
from earshot.model.schema import FLOW_CLASSES
from earshot.rules import parse


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A world of 6,000 records and 20 rules."""
    folder = tmp_path_factory.mktemp("world")
    folder.joinpath("facts.txt").write_text(repr(world.make(folder, posts=6000)))
    world.make_rules(folder, rules=20)
    return folder


# -- the world and the rules -------------------------------------------------------------------


def test_the_world_is_that_of_the_definitions(folder):
    facts = eval(folder.joinpath("facts.txt").read_text())

    assert facts["records"] == 6000
    assert facts["jetstream_share"] == pytest.approx(0.70, abs=0.03)
    assert 600 <= facts["jetstream_bytes"] <= 800
    assert 2000 <= facts["native_bytes"] <= 4000
    assert facts["posts_per_event_minute"] >= 200


def test_any_stretch_of_the_world_can_be_read_and_no_more_than_a_batch_at_once(folder):
    whole = list(world.batches(folder / world.WORLD))
    raw = pl.concat(whole)["raw"]

    assert len(whole) > 1
    assert len(raw) == 6000
    for start, count in ((0, 10), (4090, 20), (5990, 100)):
        part = pl.concat(world.batches(folder / world.WORLD, start=start, count=count))
        assert part["raw"].to_list() == raw[start : start + count].to_list()


def test_a_world_goes_on_where_the_last_one_ended(tmp_path):
    first = world.make(tmp_path, posts=3000, name="a")
    second = world.make(tmp_path, posts=3000, begin=first["ends"], name="b")
    texts = [set(pl.concat(world.batches(tmp_path / n))["raw"]) for n in "ab"]

    assert second["ends"] > first["ends"]
    assert not texts[0] & texts[1]


def test_as_many_rules_are_drawn_as_were_asked_for_and_all_can_be_read(folder):
    rules = world.read_rules(folder / world.RULES)

    assert len(rules) == 20
    assert rules == rule_texts(40, world._words(world._sample(folder / world.WORLD)), seed=7)[:20]
    assert [parse(r) for r in rules]


@pytest.mark.parametrize(
    ("most", "chosen"),
    [(0.0, [0, 4, 7]), (3.0, [0, 2, 4]), (10.0, [0, 1, 2]), (1e9, [0, 1, 2])],
)
def test_the_rules_that_hit_too_often_are_left_out(most, chosen):
    often = np.array([0, 5, 1, 100, 0, 2, 7, 0])

    assert world._fitting(often, 3, most).tolist() == chosen


def test_beyond_a_thousand_rules_the_hits_hardly_grow(folder):
    few = world.make_rules(folder, rules=world.KNOWN, name="few.json")
    many = world.make_rules(folder, rules=3 * world.KNOWN, name="many.json")
    texts = [world.read_rules(folder / name) for name in ("few.json", "many.json")]

    assert [len(t) for t in texts] == [few["rules"], many["rules"]] == [1000, 3000]
    assert texts[1][:1000] == texts[0]
    assert few["hits_per_post"]["mean"] <= world.HITS
    more = many["hits_per_post"]["mean"] - few["hits_per_post"]["mean"]
    assert 0 < more <= world.MORE_HITS


# -- the peers' way ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ("festival", True), ("fest", False), ("fest*", True), ('"music festival"', True),
        ('"festival music"', False), ("festival -music", False), ("opera OR music", True),
        ("music lang:en", True), ("music lang:de", False), ("#jazz", True), ("(a OR b) -c", False),
    ],
)  # fmt: skip
def test_a_rule_as_regular_expressions_says_the_same(rule, hit):
    post = Post("1", "a", "", "en", "The Music Festival with #jazz")

    assert as_regexes(parse(rule))(post) is hit


def test_the_peers_way_reads_posts_of_every_format(folder):
    import orjson

    rows = pl.concat(world.batches(folder / world.WORLD)).select("format", "raw")
    found = {f: [read(f, orjson.loads(r)) for r in some["raw"]] for (f,), some in
             rows.group_by("format")}  # fmt: skip

    for form, posts in found.items():
        some = [p for p in posts if p is not None]
        assert len(some) > len(posts) / 4, form
        assert all(p.id and p.text is not None for p in some)


# -- what is measured --------------------------------------------------------------------------


def test_the_pipeline_accounts_for_all_and_says_how_it_compares(tmp_path):
    found = measure_pipeline(4000, 20, peer_s=0.5, profile=tmp_path)

    assert found["consumed"] == sum(found["classes"][c] for c in FLOW_CLASSES) == 4000
    assert found["world"]["records"] == 4000
    assert found["rules"] == 20
    assert {"append", "log", "decode", "state", "pipeline", "store"} <= found["stages"].keys()
    assert found["posts"] == found["classes"]["unique"] + found["classes"]["duplicate"]
    assert found["settled_seconds"] >= found["seconds"] > 0
    assert found["hits_per_post"].keys() == {"mean", "median", "p99"}
    assert found["rss_mb"] > 10
    assert found["peer"]["posts"] > 0
    ratio = found["posts_per_second"] / found["peer"]["posts_per_second"]
    assert found["peer_ratio"] == pytest.approx(ratio, rel=0.1)
    assert "decode" in Path(found["profile"]).read_text()


def test_rules_are_measured_alone_and_in_the_pipeline():
    found = measure_rules([5, 30], sample=2000, posts=2000, peer_s=0.2)

    assert set(found["rules"]) == set(found["hits_per_post"]) == {"5", "30"}
    for n, figures in found["rules"].items():
        assert figures["rules"] == int(n)
        assert figures["posts_per_second"] * figures["us_per_post"] == pytest.approx(1e6, rel=0.01)
        assert figures["peer"]["posts"] > 0
    rates = found["pipeline"]["posts_per_second"]
    loss = 100 * (1 - rates["30"] / rates["5"])
    assert found["pipeline"]["loss_percent"] == pytest.approx(loss, abs=0.2)


def test_a_burst_is_taken_whole_and_the_source_stays_open():
    found = measure_burst(3000, 5)

    assert found["handed"] == found["accepted"] == 3000
    assert found["lost"] == 0
    assert found["source_stayed_open"]
    assert found["in_log_seconds"] <= found["drained_seconds"]


def test_a_burst_hands_over_everything_once_and_in_order():
    records = pl.DataFrame({"n": range(5000)})

    async def taken():
        source = Burst(records, SystemClock(), within_s=0.05)
        frames = []
        async for chunk in source.stream(None):
            frames.append(chunk.frame)
            if sum(f.height for f in frames) == 5000:
                break
        return source, pl.concat(frames)

    source, got = asyncio.run(taken())
    assert got.equals(records)
    assert source.ended >= source.began


def test_a_growing_store_is_measured_round_by_round(tmp_path):
    found = measure_store(6000, step=3000, home=tmp_path / "home")

    stored = [r["stored"] for r in found["rounds"]]
    assert len(stored) == 2
    assert 0 < stored[0] < stored[1] == found["stored"]
    assert found["rate_ratio"] == pytest.approx(
        found["rate_at_end"] / found["rate_at_start"], rel=0.01
    )
    assert found["bytes_per_post"] > 0


def test_a_full_store_is_asked_cold_and_warm_and_used_again(tmp_path):
    home = tmp_path / "home"
    found = measure_queries(4000, rules=5, home=home, rounds=1, repeats=2)

    names = set(found["questions"])
    assert {n.partition(":")[0] for n in names} == {"dashboard", "search"}
    assert {"search: phrase", "search: no result", "dashboard: series 1h"} <= names
    for kind in ("dashboard", "search"):
        for heat in ("cold", "warm"):
            of_kind = [q[heat] for n, q in found["questions"].items() if n.startswith(kind)]
            assert found[kind][heat]["max"] == max(q["max"] for q in of_kind)
            assert 0 < found[kind][heat]["p50"] <= found[kind][heat]["p95"]
    assert queries._stored(home) == found["stored"] > 3000


def test_earshot_under_load_is_watched_and_listened_to():
    found = measure_serving(60, 0.35, 5)

    assert found["records"] > 100
    assert found["rss_mb"] >= found["memory"]["end_mb"] > 50
    assert found["seen"]["posts"] > 0
    assert 0 < found["seen"]["p50"] <= found["seen"]["p99"] <= found["seen"]["max"]


# -- where the time goes -----------------------------------------------------------------------


def test_stacks_are_summed_up_by_our_innermost_function_and_waiting_costs_nothing():
    lines = [
        "run (/x/earshot/engine/local.py:1);decode (/x/earshot/formats/x.py:2);cast (/pl/s.py:9) 6",
        "run (/x/earshot/engine/local.py:1);decode (/x/earshot/formats/x.py:7) 2",
        "run (/x/earshot/engine/local.py:1);commit (/x/earshot/store/sqlite.py:3) 2",
        "run (/x/earshot/engine/local.py:1);wait (/lib/threading.py:3) 90",
    ]

    assert profile.dearest(lines).rows() == [
        ("decode", "formats/x:decode", 8, 80.0),
        ("store", "store/sqlite:commit", 2, 20.0),
    ]


def test_the_own_sampler_writes_stacks_that_can_be_summed_up(tmp_path):
    path = tmp_path / "stacks.raw"
    with profile.Sampler(path):
        while not re.search("x", "y" * 1000) and sum(range(100_000)) and not _enough():
            pass

    found = profile.dearest(path.read_text().splitlines())
    assert found["samples"].sum() > 0
    assert found["share"].sum() == pytest.approx(100, abs=5)


_counted = []


def _enough():
    _counted.append(1)
    return len(_counted) > 200
