import datetime as dt
import threading
from urllib.parse import urlencode

import polars as pl
import pytest

from earshot.model.changes import FLAG
from earshot.model.schema import GAP, RECORD, TOMBSTONE
from earshot.testing.control import NOON
from earshot.testing.store import rows_of, stored


def minute(n):
    return NOON + dt.timedelta(minutes=n)


def ids(page):
    return [p["id"] for p in page["items"]]


def walk(client, url, *, each=lambda: None, key="next_url"):
    pages = []
    while url:
        page = client.get(url).json()
        pages.append(page)
        each()
        url = page[key]
    return pages


def test_an_expression_finds_posts_and_marks_what_it_found(world, admin):
    world.put(
        stored("1", "Fährräder für 🚲 Leipzig", title="On bicycles"),
        stored("2", "bicycles in the sun", lang="en"),
        stored("3", "cars"),
    )
    page = admin.get("/api/v1/posts", params={"q": "bicycles OR leipzig"}).json()
    found = {p["id"]: p["spans"] for p in page["items"]}
    assert found == {
        "2": [{"field": "text", "offset": 0, "length": 8}],
        "1": [
            {"field": "title", "offset": 3, "length": 8},
            {"field": "text", "offset": 16, "length": 7},
        ],
    }
    assert (page["complete"], page["next"], page["prev"], page["total"]) == (True, None, None, None)
    assert ids(admin.get("/api/v1/posts", params={"q": "-bicycles -leipzig"}).json()) == ["3"]


def test_filters_narrow_what_the_expression_finds(world, admin):
    world.put(
        stored("1", "hello", lang="en"),
        stored("2", "hello", lang="de"),
        stored("3", "hello", source="x", lang="en", event_time=minute(5)),
        hits=[("mastodon", "2", 7, 1), ("x", "3", 8, 1)],
    )

    def asked(**params):
        answer = admin.get("/api/v1/posts", params={"order": "oldest", **params})
        assert answer.status_code == 200, answer.text
        return ids(answer.json())

    assert asked(q="hello") == ["1", "2", "3"]
    assert asked(source="x") == ["3"]
    assert asked(q="hello", lang="en") == ["1", "3"]
    assert asked(lang=["en", "de"], source=["mastodon"]) == ["1", "2"]
    assert asked(rule=7) == ["2"]
    assert asked(rule=[7, 8], q="hello") == ["2", "3"]
    assert asked(since=minute(1).isoformat()) == ["3"]
    assert asked(until="2026-03-01T12:01:00") == ["1", "2"]  # no zone: UTC
    assert asked(since="2026-03-01T13:04:00+01:00") == ["3"]


def test_an_expression_that_cannot_be_read_points_at_the_place(admin):
    problem = admin.get("/api/v1/posts", params={"q": 'a "b'}).json()
    assert problem["code"] == "rule-syntax"
    (error,) = problem["errors"]
    assert (error["pointer"], error["offset"]) == ("/query/q", 2)
    assert error["hint"]


def test_next_to_the_end_visits_every_post_once_while_new_ones_arrive(world, admin):
    for start in range(0, 30, 10):  # many share a moment
        world.put(
            *(
                stored(f"{n:02}", "hello", event_time=minute(n // 7))
                for n in range(start, start + 10)
            )
        )
    fresh = iter(range(1000))

    def arrive():
        n = next(fresh)
        world.put(stored(f"new{n}", "hello", event_time=minute(60 + n)))
        world.put(stored(f"old{n}", "hello", event_time=minute(-60 - n)))

    pages = walk(admin, "/api/v1/posts?q=hello&limit=7", each=arrive)
    seen = [i for page in pages for i in ids(page)]
    assert len(seen) == len(set(seen))
    before = [i for i in seen if not i.startswith(("new", "old"))]
    assert sorted(before) == [f"{n:02}" for n in range(30)]
    assert not any(i.startswith("new") for i in seen)
    assert all(len(page["items"]) <= 7 for page in pages)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_prev_leads_back_over_the_same_posts(world, admin, order):
    world.put(*(stored(f"{n:02}", "hello", event_time=minute(n // 3)) for n in range(20)))
    first = admin.get("/api/v1/posts", params={"limit": 6, "order": order}).json()
    assert first["prev"] is None
    pages = [first]
    while pages[-1]["next"]:
        pages.append(admin.get(pages[-1]["next_url"]).json())
    back = pages[-1]
    for there in reversed(pages[:-1]):
        params = {"limit": 6, "order": order, "cursor": back["prev"]}
        back = admin.get("/api/v1/posts", params=params).json()
        assert ids(back) == ids(there)
        assert back["next"]
    assert (
        back["prev"] is None
        or ids(
            admin.get(
                "/api/v1/posts", params={"limit": 6, "order": order, "cursor": back["prev"]}
            ).json()
        )
        == []
    )


def test_the_link_header_says_the_same_as_the_page(world, admin):
    world.put(*(stored(f"{n}", "hello") for n in range(3)))
    answer = admin.get("/api/v1/posts", params={"q": "hello", "limit": 1})
    assert answer.headers["Link"] == f'<{answer.json()["next_url"]}>; rel="next"'


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"q": "other"}, "cursor-mismatch"),
        ({"order": "oldest"}, "cursor-mismatch"),
        ({"source": "x"}, "cursor-mismatch"),
        ({"cursor": "nonsense"}, "bad-cursor"),
        ({"cursor": "WzFd"}, "bad-cursor"),
        ({"cursor": "é"}, "bad-cursor"),
    ],
)
def test_a_cursor_fits_its_own_list_only(world, admin, change, code):
    world.put(*(stored(f"{n}", "hello") for n in range(3)))
    cursor = admin.get("/api/v1/posts", params={"q": "hello", "limit": 1}).json()["next"]
    answer = admin.get("/api/v1/posts", params={"q": "hello", "cursor": cursor, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    wider = admin.get("/api/v1/posts", params={"q": "hello", "cursor": cursor, "limit": 2})
    assert wider.status_code == 200  # the size of a page is no filter


def test_the_exact_count_is_of_all_pages(world, admin):
    world.put(*(stored(f"{n}", "hello" if n % 2 else "moon") for n in range(20)))
    for q, total in (("hello", 10), ("", 20), ("hello -moon", 10), ("nothing", 0)):
        params = {"q": q, "limit": 3, "count": "exact"}
        page = admin.get("/api/v1/posts", params=params).json()
        assert page["total"] == total
        assert all(p["total"] == total for p in walk(admin, page["next_url"]))


def test_as_of_is_the_place_before_the_query(world, admin):
    world.put(stored("1", "hello"))
    place = world.rooms.live.head()
    assert admin.get("/api/v1/posts").json()["as_of"] == place


def test_gaps_of_the_span_come_with_the_page(world, admin):
    gap = rows_of(
        pl.Schema({"seq": pl.Int64, **GAP}),
        (1, "x", "x", 0, minute(0), minute(3), "disconnect", "gone"),
        (2, "mastodon", "m", 0, minute(9), minute(10), "rate_limit", ""),
    )
    world.put(stored("1"), gaps=gap)
    said = admin.get("/api/v1/posts", params={"until": minute(5).isoformat()}).json()["gaps"]
    assert [(g["source"], g["reason"], g["until"]) for g in said] == [
        ("x", "disconnect", "2026-03-01T12:03:00Z")
    ]
    assert admin.get("/api/v1/posts", params={"source": "bluesky"}).json()["gaps"] == []


def test_one_post_by_its_key_whatever_the_key_holds(world, admin):
    key = "at://did:plc:a/app.bsky.feed.post/1?x#y"
    world.put(stored(key, "hello", source="bluesky"))
    answer = admin.get("/api/v1/posts/bluesky/" + key.replace("?", "%3F").replace("#", "%23"))
    assert answer.json()["id"] == key
    assert admin.get("/api/v1/posts/bluesky/none").json()["code"] == "not-found"


def test_a_deleted_post_is_gone_and_nothing_of_it_is_said(world, admin):
    world.put(stored("1", "hello secret"))
    world.put(tombstones=rows_of(TOMBSTONE, ("mastodon", "1", 1, NOON)))
    answer = admin.get("/api/v1/posts/mastodon/1")
    assert (answer.status_code, answer.json()["code"]) == (410, "post-deleted")
    assert "secret" not in answer.text
    assert ids(admin.get("/api/v1/posts").json()) == []


def test_a_hidden_post_is_not_there(world, admin):
    world.put(stored("1", "hello"))
    world.put(flags=rows_of(FLAG, ("mastodon", "1", True)))
    assert admin.get("/api/v1/posts/mastodon/1").status_code == 404
    assert ids(admin.get("/api/v1/posts").json()) == []


def test_a_link_that_is_no_web_address_is_not_given_on(world, admin):
    world.put(
        stored("1", permalink="javascript:alert(1)"), stored("2", permalink="https://a.example/2")
    )
    links = {p["id"]: p["permalink"] for p in admin.get("/api/v1/posts").json()["items"]}
    assert links == {"1": None, "2": "https://a.example/2"}


def test_deleting_goes_through_the_log_and_waits_until_it_shows(world, admin):
    world.put(stored("1", "hello"))
    world.offset = -1

    def engine():
        stop = threading.Event()
        while not stop.wait(0.02):
            records = world.rooms.log.read(0)
            if records.height:
                assert records.schema == RECORD
                said.append(records.row(0, named=True))
                world.offset = records.height - 1
                world.put(tombstones=rows_of(TOMBSTONE, ("mastodon", "1", 1, NOON)))
                return

    said = []
    worker = threading.Thread(target=engine)
    worker.start()
    answer = admin.delete("/api/v1/posts/mastodon/1")
    worker.join()
    assert answer.json() == {"offset": 0, "applied": True}
    assert (said[0]["source"], said[0]["format"]) == ("earshot", "earshot")
    assert b'"delete"' in said[0]["raw"]
    assert admin.get("/api/v1/posts/mastodon/1").status_code == 410
    (line,) = world.rooms.control.audit_lines(action="post.delete")
    assert (line["actor"], line["thing"]) == ("admin", "mastodon/1")


def test_where_no_engine_runs_a_delete_is_safe_and_said_to_wait(world, admin, monkeypatch):
    world.put(stored("1", "hello"))
    world.offset = -1
    monkeypatch.setattr("earshot.api.operate.WAIT_S", 0.0)
    world.put(offset_to_0 := stored("2"))
    assert offset_to_0
    answer = admin.delete("/api/v1/posts/mastodon/1").json()
    assert answer == {"offset": 0, "applied": False}
    assert world.rooms.log.head() == 1


def test_copies_count_once_where_that_is_asked_for(world, admin):
    world.put(
        *(stored(str(n), "red bike", event_time=minute(n), copy=n % 3 > 0) for n in range(9)),
        stored("other", "blue", event_time=minute(9)),
    )
    for q, ids_once in (("", ["other", "6", "3", "0"]), ("red", ["6", "3", "0"])):
        asked = {"q": q, "variant": "once", "count": "exact", "limit": 2}
        pages = walk(admin, "/api/v1/posts?" + urlencode(asked))
        assert [i for page in pages for i in ids(page)] == ids_once
        assert pages[0]["total"] == len(ids_once)
    assert admin.get("/api/v1/posts", params={"count": "exact"}).json()["total"] == 10
    assert admin.get("/api/v1/posts", params={"variant": "twice"}).status_code == 422


def test_a_post_names_the_first_of_its_family_once_its_day_is_settled(world, admin):
    text = "the old bridge over the river will be closed for repairs until the end of next week"
    world.put(stored("1", text), stored("2", "so " + text, event_time=minute(1)), stored("3", "hi"))

    def families():
        page = admin.get("/api/v1/posts").json()
        return {p["id"]: p["family"] for p in page["items"]}

    assert list(families().values()) == [None] * 3
    world.writer.settle(NOON.date())
    family = {"first": {"source": "mastodon", "id": "1"}, "size": 2}
    assert families() == {"1": family, "2": family, "3": None}
    assert admin.get("/api/v1/posts/mastodon/2").json()["family"] == family
