import datetime as dt

import polars as pl
import pytest

from earshot.engine.windows import WindowKeeper
from earshot.model.changes import DIRTY
from earshot.model.schema import FACETS, GAP
from earshot.testing.control import NOON
from earshot.testing.store import rows_of, stored


def at(n):
    return NOON + dt.timedelta(minutes=n)


@pytest.fixture
def counted(world):
    """Posts of an hour before noon and a little after, counted: minute n has n % 3 posts of x."""
    posts, dirty = [], set()
    for n in range(-120, 3):
        for k in range(n % 3):
            source = "x" if k else "mastodon"
            posts.append(
                stored(
                    f"{n}.{k}", "hello", source=source, event_time=at(n), author_id=str(n % 5),
                    hashtags=["up" if n > -60 else "down"] * (k == 0) + ["even"] * (n % 2 == 0),
                )
            )  # fmt: skip
            dirty.add((at(n), source))
    hits = [(p["source"], p["id"], 7, 1) for p in posts if p["source"] == "x"]
    world.put(*posts, hits=hits, dirty=rows_of(DIRTY, *sorted(dirty)))
    WindowKeeper(world.writer, {}).flush(NOON, everything=True)
    world.posts = posts
    return world


def series(client, **params):
    answer = client.get("/api/v1/windows", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_series_counts_what_the_list_lists(counted, admin):
    said = series(admin, since=at(-30).isoformat(), until=at(0).isoformat())
    (line,) = said["series"]
    assert (said["step"], len(said["t"]), said["partial"]) == (60, 30, False)
    assert said["t"][0] == at(-30).timestamp()
    assert line["values"] == [n % 3 for n in range(-30, 0)]
    for t, value in list(zip(said["t"], line["values"], strict=True))[:4]:
        since = dt.datetime.fromtimestamp(t, dt.UTC)
        params = {
            "since": since.isoformat(),
            "until": (since + dt.timedelta(minutes=1)).isoformat(),
        }
        assert (
            admin.get("/api/v1/posts", params={**params, "count": "exact"}).json()["total"] == value
        )


@pytest.mark.parametrize(("step", "seconds"), [("5m", 300), ("1h", 3600), ("1d", 86400)])
def test_wider_steps_add_up_to_the_same(counted, admin, step, seconds):
    said = series(admin, since=at(-120).isoformat(), until=at(3).isoformat(), step=step)
    assert said["step"] == seconds
    assert sum(said["series"][0]["values"]) == len(counted.posts)
    authors = series(
        admin, since=at(-120).isoformat(), until=at(3).isoformat(), step=step, measure="authors"
    )
    assert max(authors["series"][0]["values"]) <= 10  # five people on each of two networks


def test_lines_go_by_rule_and_by_source(counted, admin):
    span = {"since": at(-60).isoformat(), "until": at(0).isoformat()}
    said = series(admin, **span, rule=[0, 7], by="source")
    lines = {s["key"]: sum(s["values"]) for s in said["series"]}
    of = [p for p in counted.posts if at(-60) <= p["event_time"] < at(0)]
    many = {s: sum(p["source"] == s for p in of) for s in ("x", "mastodon")}
    assert lines == {"mastodon": many["mastodon"], "x": many["x"], "rule:7|x": many["x"]}
    (only,) = series(admin, **span, source="x", rule=7)["series"]
    assert (only["key"], sum(only["values"])) == ("rule:7|x", many["x"])


def test_the_open_bucket_is_called_partial(counted, admin):
    assert series(admin)["partial"] is False  # it is noon sharp
    counted.clock.pass_(30)
    said = series(admin)
    assert (said["partial"], said["t"][-1]) == (True, NOON.timestamp())


def test_a_long_span_gets_wider_buckets_and_never_too_many(counted, admin):
    for days, step in ((0.1, 60), (1, 300), (10, 3600), (300, 86400)):
        since = (NOON - dt.timedelta(days=days)).isoformat()
        said = series(admin, since=since)
        assert (said["step"], len(said["t"]) <= 400) == (step, True)
    since = (NOON - dt.timedelta(days=10)).isoformat()
    answer = admin.get("/api/v1/windows", params={"since": since, "step": "1m"})
    assert answer.status_code == 422
    assert "400" in answer.json()["detail"]


def test_gaps_of_the_span_come_with_the_series(counted, admin):
    schema = pl.Schema({"seq": pl.Int64, **GAP})
    gaps = rows_of(schema, (1, "x", "x", 0, at(-9), at(-7), "slow", ""))
    counted.put(gaps=gaps)
    assert [g["reason"] for g in series(admin)["gaps"]] == ["slow"]
    assert series(admin, source="mastodon")["gaps"] == []
    listed = admin.get("/api/v1/gaps").json()["items"]
    assert [(g["since"], g["until"]) for g in listed] == [
        ("2026-03-01T11:51:00Z", "2026-03-01T11:53:00Z")
    ]


def test_a_top_list_ranks_and_tells_the_change(counted, admin):
    said = admin.get("/api/v1/top", params={"facet": "hashtag", "window": "60m"}).json()
    assert (said["since"], said["until"]) == ("2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z")
    rows = {r["value"]: r for r in said["items"]}
    assert [r["rank"] for r in said["items"]] == [1, 2]
    assert (rows["up"]["posts"], rows["up"]["previous_rank"], rows["up"]["change"]) == (
        40,
        None,
        None,
    )
    assert "down" not in rows
    assert rows["even"]["previous_rank"] is not None
    assert rows["even"]["change"] == rows["even"]["previous_rank"] - rows["even"]["rank"]


def test_a_top_list_is_of_a_window_a_rule_and_a_source(counted, admin):
    def top(**params):
        answer = admin.get("/api/v1/top", params={"facet": "total", **params})
        assert answer.status_code == 200, answer.text
        return answer.json()

    half_past = "2026-03-01T11:30:00Z"
    hour = top(window="1h", at=half_past)
    assert (hour["since"], hour["until"]) == ("2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z")
    assert top(window="60m", at=half_past)["since"] == "2026-03-01T10:30:00Z"
    assert top(window="1m", at=half_past)["until"] == half_past
    mine = top(window="1h", rule=7, at=half_past)["items"][0]["posts"]
    assert mine == top(window="1h", source="x", at=half_past)["items"][0]["posts"] > 0
    assert top(window="1h", rule=8)["items"] == []


def test_what_cannot_be_ranked_is_named(admin):
    answer = admin.get("/api/v1/top", params={"facet": "hat"})
    assert answer.status_code == 422
    assert "hashtag" in answer.json()["detail"]
    assert admin.get("/api/v1/facets").json()["facets"] == list(FACETS)
    assert admin.get("/api/v1/top", params={"facet": "word", "variant": "x"}).status_code == 422


@pytest.mark.parametrize("measure", ["posts", "authors", "score"])
def test_copies_count_once_in_a_series_of_any_step(world, admin, measure):
    posts = [
        stored(
            f"{n}.{k}", "hello", event_time=at(n), author_id=str(k), copy=k > 0, likes=k + 1,
            counters_at=at(n),
        )
        for n in range(-60, 0)
        for k in range(n % 3)
    ]  # fmt: skip
    dirty = rows_of(DIRTY, *sorted({(p["event_time"], "mastodon") for p in posts}))
    world.put(*posts, dirty=dirty)
    WindowKeeper(world.writer, {}).flush(NOON, everything=True)
    span = {"since": at(-60).isoformat(), "until": at(0).isoformat(), "measure": measure}

    def values(**more):
        return series(admin, **span, **more)["series"][0]["values"]

    once = values(variant="once", step="1m")
    if measure != "score":
        assert once == [int(n % 3 > 0) for n in range(-60, 0)]
        assert values(step="1m") == [n % 3 for n in range(-60, 0)]
    for step, width in (("5m", 5), ("1h", 60)):
        cut = [once[i : i + width] for i in range(0, 60, width)]
        wanted = [min(1, sum(c)) for c in cut] if measure == "authors" else [sum(c) for c in cut]
        assert values(variant="once", step=step) == wanted
    assert series(admin, **span, variant="once")["variant"] == "once"
