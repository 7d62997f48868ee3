import datetime as dt

import pytest

from earshot.model.schema import COUNT
from earshot.testing.control import NOON
from earshot.testing.store import rows_of, stored


def make(client, name="bikes", text="bicycle"):
    answer = client.post("/api/v1/rules", json={"name": name, "text": text})
    assert answer.status_code == 201, answer.text
    return answer


def test_a_new_rule_has_a_place_and_a_version(world, admin):
    made = make(admin, text="a   OR (b)")
    assert (made.headers["Location"], made.headers["ETag"]) == ("/api/v1/rules/1", '"1"')
    assert (made.json()["text"], made.json()["canonical"]) == ("a   OR (b)", "a OR b")
    assert admin.get("/api/v1/rules/1").json() == made.json()


def test_a_rule_acts_at_once_without_an_engine_and_in_two_seconds_with_one(world, admin):
    assert make(admin, "a").json()["active_from"] == "2026-03-01T12:00:00Z"
    world.engine_says()
    assert make(admin, "b").json()["active_from"] == "2026-03-01T12:00:02Z"
    world.clock.pass_(11)
    assert make(admin, "c").json()["active_from"] == "2026-03-01T12:00:11Z"


@pytest.mark.parametrize("text", ["(", '"a', "", "lang:"])
def test_a_rule_that_cannot_be_read_is_not_saved(world, admin, text):
    assert admin.post("/api/v1/rules", json={"name": "a", "text": text}).status_code == 422
    assert world.rooms.control.rules() == []


def test_an_edit_names_the_version_it_changes(world, admin):
    make(admin)
    none = admin.patch("/api/v1/rules/1", json={"text": "bike"})
    assert (none.status_code, none.json()["code"]) == (428, "precondition-required")
    good = admin.patch("/api/v1/rules/1", json={"text": "bike"}, headers={"If-Match": '"1"'})
    assert (good.json()["version"], good.headers["ETag"]) == (2, '"2"')
    late = admin.patch("/api/v1/rules/1", json={"text": "velo"}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (409, "edit-conflict")
    assert late.json()["current"] == {"version": 2, "name": "bikes", "text": "bike"}
    assert late.headers["ETag"] == '"2"'
    assert [v["text"] for v in good.json()["versions"]] == ["bike", "bicycle"]


def test_an_old_version_can_be_restored(world, admin):
    make(admin)
    admin.patch("/api/v1/rules/1", json={"text": "bike"}, headers={"If-Match": '"1"'})
    old = admin.get("/api/v1/rules/1").json()["versions"][-1]["text"]
    admin.patch("/api/v1/rules/1", json={"text": old}, headers={"If-Match": '"2"'})
    now = admin.get("/api/v1/rules/1").json()
    assert (now["version"], now["text"]) == (3, "bicycle")


def test_a_name_is_taken_once(world, admin):
    make(admin, "a")
    make(admin, "b")
    twice = admin.post("/api/v1/rules", json={"name": "a", "text": "x"})
    renamed = admin.patch("/api/v1/rules/2", json={"name": "a"}, headers={"If-Match": '"1"'})
    assert [r.json()["code"] for r in (twice, renamed)] == ["name-taken"] * 2
    same = admin.patch("/api/v1/rules/2", json={"name": "b"}, headers={"If-Match": '"1"'})
    assert same.status_code == 200


def test_a_deleted_rule_is_gone_and_its_name_is_free(world, admin):
    make(admin, "a")
    assert admin.delete("/api/v1/rules/1").status_code == 204
    for answer in (
        admin.get("/api/v1/rules/1"),
        admin.delete("/api/v1/rules/1"),
        admin.patch("/api/v1/rules/1", json={"text": "x"}, headers={"If-Match": '"1"'}),
    ):
        assert answer.status_code == 404
    assert make(admin, "a").json()["id"] == 2


def test_an_edit_of_nothing_is_refused(admin):
    make(admin)
    answer = admin.patch("/api/v1/rules/1", json={}, headers={"If-Match": '"1"'})
    assert answer.status_code == 422


def test_the_list_goes_by_name_and_tells_what_each_found(world, admin):
    for name in ("c", "a", "b"):
        make(admin, name)
    counts = rows_of(
        COUNT, (NOON, "mastodon", 2, "matched", 2), (NOON, "x", 2, "matched", 3),
        (NOON, "x", 2, "late", 1), (NOON, "x", 0, "unique", 9),
    )  # fmt: skip
    late = NOON + dt.timedelta(minutes=3)
    world.put(
        stored("1", "hello"), stored("2", "hello", event_time=late),
        hits=[("mastodon", "1", 2, 1), ("mastodon", "2", 2, 1)], counts=counts,
    )  # fmt: skip
    first = admin.get("/api/v1/rules", params={"limit": 2}).json()
    assert [r["name"] for r in first["items"]] == ["a", "b"]
    assert first["items"][0]["hits"] == {
        "matched": 5, "stored": 0, "copies": 0, "reposts": 0, "late": 1
    }  # fmt: skip
    assert first["items"][0]["last_hit"] == "2026-03-01T12:03:00Z"
    assert (first["items"][1]["last_hit"], first["total"]) == (None, 3)
    make(admin, "aa")
    rest = admin.get(first["next_url"]).json()
    assert ([r["name"] for r in rest["items"]], rest["next"]) == (["c"], None)


def test_a_post_names_the_rules_that_matched_and_are_still_there(world, admin):
    make(admin, "a")
    make(admin, "b")
    world.put(stored("1"), hits=[("mastodon", "1", 1, 1), ("mastodon", "1", 2, 1)])
    admin.delete("/api/v1/rules/1")
    assert admin.get("/api/v1/posts/mastodon/1").json()["rules"] == [2]


def test_an_expression_is_checked_while_it_is_typed(admin):
    def check(text):
        return admin.post("/api/v1/rules/validate", json={"text": text}).json()

    assert check("(a  b)") == {"canonical": "a b", "indexed": True}
    assert check("-a")["indexed"] is False
    (error,) = check("hello lnag:en")["errors"]
    assert (error["pointer"], error["offset"], error["length"] >= 1) == ("/body/text", 6, True)
    assert error["hint"]


def test_an_expression_is_tried_on_stored_posts_without_being_saved(world, admin):
    hour = dt.timedelta(hours=1)
    world.put(
        *(
            stored(f"{n}", "hello" if n % 2 else "moon", event_time=NOON + n * hour)
            for n in range(25)
        )
    )

    def tried(**body):
        return admin.post("/api/v1/rules/test", json={"text": "hello", **body}).json()

    said = tried()
    assert (said["posts"], said["hits"], said["complete"]) == (25, 12, True)
    assert said["rate_per_hour"] == 0.5
    assert [p["id"] for p in said["samples"]] == [str(n) for n in range(23, 3, -2)]
    assert said["samples"][0]["spans"] == [{"field": "text", "offset": 0, "length": 5}]
    part = tried(text="hello -moon", since="2026-03-01T18:00:00Z", samples=1)
    assert (part["posts"], part["hits"], len(part["samples"])) == (19, 9, 1)
    assert (part["since"], part["until"]) == ("2026-03-01T18:00:00Z", "2026-03-02T12:00:00Z")
    assert tried(text="nothing")["samples"] == []
    assert tried(samples=0)["samples"] == []
    assert world.rooms.control.rules() == []


def test_on_an_empty_store_nothing_is_found(admin):
    said = admin.post("/api/v1/rules/test", json={"text": "hello"}).json()
    assert (said["posts"], said["hits"], said["rate_per_hour"], said["since"]) == (0, 0, 0.0, None)


def test_a_trial_counts_copies_or_counts_once(world, admin):
    world.put(*(stored(str(n), "red bike", copy=n > 0) for n in range(4)), stored("b", "blue"))
    tried = {
        variant: admin.post("/api/v1/rules/test", json={"text": "red", "variant": variant}).json()
        for variant in ("all", "once", "clean")
    }
    assert [(t["posts"], t["hits"], len(t["samples"])) for t in tried.values()] == [
        (5, 4, 4), (2, 1, 1), (2, 1, 1)
    ]  # fmt: skip
