import datetime as dt
import json
import threading

import polars as pl
import pytest
from tests.sources.archive_help import FakeClock, chunks, frame

from earshot import formats
from earshot.errors import ConfigError
from earshot.sources import demo
from earshot.sources._world.records import records
from earshot.sources.archive import connect as archive

NOW = dt.datetime(2026, 5, 4, 18, 0, tzinfo=dt.UTC)


def world(query, clock=None):
    clock = clock or FakeClock(NOW)
    return demo.connect(f"demo:?{query}", clock=clock, sleep=clock.sleep)


def until(seconds, clock):
    end = clock.now() + dt.timedelta(seconds=seconds)
    return lambda chunk: clock.now() >= end


def decoded(records):
    return formats.decode(records.select(pl.lit(None, pl.Int64).alias("offset"), pl.all()))


def creates(records):
    return decoded(records).posts.filter(pl.col("role") == "create")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, again, other = (
        frame(chunks(world(f"seed={s}&limit=3000&people=500"))) for s in (7, 7, 8)
    )

    assert first.height == 3000
    assert first.equals(again)
    assert set(first["raw"]).isdisjoint(other["raw"])


def test_with_a_limit_it_ends_and_run_again_gives_all_of_it_again():
    source = world("limit=100&people=500")
    got = chunks(source)
    assert got[-1].state == "done"
    assert not source.capabilities.live

    assert frame(chunks(source, got[-1].cursor)).equals(frame(got))


def test_from_any_cursor_exactly_the_rest_follows(monkeypatch):
    monkeypatch.setattr(demo, "_CHUNK", 700)
    whole = chunks(world("limit=12000&people=500&rate=500"))
    marks = [n for n, c in enumerate(whole) if c.cursor]
    assert len(marks) > 10
    for mark in (marks[0], marks[7], marks[-2]):
        rest = frame(chunks(world("limit=12000&people=500&rate=500"), whole[mark].cursor))
        assert rest["raw"].to_list() == frame(whole[mark + 1 :])["raw"].to_list()


def test_every_record_can_be_decoded():
    found = decoded(frame(chunks(world("limit=20000&seed=5"))))

    classes = dict(found.outcome["class"].value_counts().iter_rows())
    assert set(classes) == {"create", "updates", "deletes", "interactions", "control"}
    assert classes["create"] > 0.8 * 20_000
    kinds = set(found.posts["kind"])
    assert kinds == {"post", "reply", "quote", "repost", "comment", "submission", "rsvp"}
    assert found.posts["lang"].n_unique() >= 9
    assert found.posts["country"].n_unique() >= 4
    assert set(found.interactions["kind"]) == {"like", "repost", "follow"}
    assert found.interactions["removed"].any()
    assert {"delete", "author_update", "hide", "show"} <= set(found.events["kind"])


def test_formats_and_sizes_are_those_of_the_bench_world():
    taken = frame(chunks(world("limit=40000")))
    sizes = taken.group_by("format").agg(
        share=pl.len() / taken.height, size=pl.col("raw").bin.size().mean()
    )
    of = {row["format"]: row for row in sizes.to_dicts()}

    assert of["jetstream"]["share"] == pytest.approx(0.70, abs=0.02)
    assert 600 <= of["jetstream"]["size"] <= 800
    assert 2000 <= of["x_v1"]["size"] <= 4000
    assert set(of) == {"jetstream", "x_v1", "x_v2", "mastodon", "reddit", "meetup"}


def test_offsets_in_the_payloads_point_at_what_they_name():
    taken = frame(chunks(world("limit=6000")))
    checked = 0
    for raw in taken.filter(pl.col("format") == "jetstream")["raw"]:
        record = json.loads(raw).get("commit", {}).get("record", {})
        for facet in record.get("facets", ()):
            place, feature = facet["index"], facet["features"][0]
            part = record["text"].encode()[place["byteStart"] : place["byteEnd"]].decode()
            name = feature.get("tag", feature.get("uri"))
            assert part.startswith("@") if name is None else part in {name, f"#{name}"}
            checked += 1
    for raw in taken.filter(pl.col("format") == "x_v1")["raw"]:
        tweet = json.loads(raw)
        for tag in tweet.get("entities", {}).get("hashtags", ()):
            low, high = tag["indices"]
            assert tweet["text"][low:high] == "#" + tag["text"]
            checked += 1
    assert checked > 1000


def test_about_two_in_a_hundred_are_delivered_twice():
    taken = frame(chunks(world("limit=30000")))

    again = taken.height - taken["raw"].n_unique()
    assert 0.014 < again / taken.height < 0.022


def test_live_it_fills_in_the_last_hours_and_then_keeps_pace():
    clock = FakeClock(NOW)
    got = chunks(world("rate=8&people=300&backfill=1", clock), stop=until(60, clock))
    filled = [c for c in got if c.frame is not None and c.frame["headers"][0]]
    live = [c for c in got if c.frame is not None and not c.frame["headers"][0]]

    assert [c.state for c in got if c.state] == ["catching_up", "live"]
    times = creates(frame(filled))["created_at"]
    assert (NOW - times.min()).total_seconds() == pytest.approx(3600, abs=90)
    assert set(frame(filled)["headers"]) == {'{"archive":true}'}
    old = creates(frame(live))
    assert ((old["received_at"] - old["created_at"]).dt.total_seconds() < 6).mean() > 0.98
    assert 100 < frame(live).height < 4000


def test_what_is_filled_in_is_thinner_the_longer_ago():
    clock = FakeClock(NOW)
    got = chunks(world("rate=4&people=300&backfill=2", clock), stop=lambda c: c.state == "live")
    posts = creates(frame(got))
    age = (pl.lit(NOW) - pl.col("created_at")).dt.total_minutes()
    per_minute = posts.group_by((age // 20).alias("age")).len().sort("age")["len"].to_list()

    assert per_minute[0] > 1.5 * per_minute[5]


def test_live_the_same_moment_gives_the_same_world_and_a_restart_goes_on():
    clock, again = FakeClock(NOW), FakeClock(NOW)
    query = "rate=8&people=300&backfill=0.1"
    whole = chunks(world(query, clock), stop=until(90, clock))
    cut = next(n for n, c in enumerate(whole) if c.cursor and n > len(whole) // 2)
    part = chunks(world(query, again), stop=lambda c: c.cursor == whole[cut].cursor)
    rest = chunks(world(query, again), part[-1].cursor, stop=until(90, again))

    wanted = frame(whole[cut + 1 :])["raw"].to_list()
    assert len(wanted) > 100
    assert frame(rest)["raw"].to_list()[: len(wanted)] == wanted


def test_after_a_long_pause_only_the_last_hours_are_filled_in():
    clock = FakeClock(NOW)
    query = "rate=4&people=300&backfill=0.5"
    cursor = chunks(world(query, clock), stop=until(5, clock))[-1].cursor
    clock.time += dt.timedelta(days=3)
    got = chunks(world(query, clock), cursor, stop=lambda c: c.state == "live")

    times = creates(frame(got))["created_at"]
    assert (clock.now() - times.min()).total_seconds() < 0.6 * 3600


def test_a_load_can_keep_the_worlds_own_pace():
    clock = FakeClock(NOW)
    got = chunks(world("limit=2000&rate=100&people=500&speed=2x", clock))
    times = creates(frame(got))["event_time"]

    asked = (times.max() - times.min()).total_seconds() / 2
    assert (clock.now() - NOW).total_seconds() == pytest.approx(asked, rel=0.2)


@pytest.mark.parametrize("query", ["sed=1", "rate=-1", "people=3", "limit=x", "limit=5&speed=q"])
def test_options_that_make_no_sense_are_refused(query):
    with pytest.raises(ConfigError, match="demo"):
        world(query)


def test_written_files_are_read_back_as_an_archive(tmp_path):
    counts = demo.write(tmp_path, 5000, 3)
    clock = FakeClock()
    source = archive("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)])
    got = chunks(source)

    assert sum(counts.values()) == 5000
    assert dict(frame(got)["format"].value_counts().iter_rows()) == counts
    assert any("skipped truth.json" in c.detail for c in got)
    told = json.loads((tmp_path / "truth.json").read_text())
    assert told["seed"] == 3
    assert len(told["communities"]) == 3000


def test_steps_are_made_outside_the_loop(monkeypatch):
    threads = set()

    def noted(law, step):
        threads.add(threading.current_thread())
        return records(law, step)

    monkeypatch.setattr(demo, "records", noted)
    clock = FakeClock(NOW)
    chunks(world("rate=4&people=300&backfill=0.1", clock), stop=until(1, clock))
    chunks(world("limit=50&people=300"))

    assert threads
    assert threading.main_thread() not in threads
