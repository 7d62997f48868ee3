import dataclasses
import datetime as dt

import msgspec
import pytest

from earshot.api import health
from earshot.model.schema import COUNT, FLOW_CLASSES, QUARANTINE
from earshot.testing.control import NOON
from earshot.testing.store import rows_of, stored


def bad_record(offset, raw=b"{", reason="cut"):
    return (offset, "x", "archive:a", "x_v1", NOON, "a.jsonl:3", "", raw, reason)


def test_counts_add_up_flat_by_source_and_by_rule(world, admin):
    world.rooms.control.add_rule("bikes", "bicycle", active_from=NOON, actor="ada")
    counts = [(NOON, s, 0, c, n) for n, c in enumerate(FLOW_CLASSES, 1) for s in ("x", "mastodon")]
    counts += [(NOON, "x", 0, "matched", 4), (NOON, "x", 1, "matched", 4)]
    world.put(counts=rows_of(COUNT, *counts))
    said = admin.get("/api/v1/counts").json()
    assert said["consumed"] == sum(said[c] for c in FLOW_CLASSES) == 56
    assert said["by_source"]["x"]["consumed"] == 28
    assert (said["matched"], said["by_rule"]["bikes"]["matched"]) == (4, 4)


def test_sources_tell_how_each_connection_does(world, admin):
    report = {
        "source": "bluesky", "state": "live", "detail": "v2", "records": 9, "per_second": 8.5,
        "last_received_at": "2026-03-01T11:59:58+00:00", "restarts": 1,
    }  # fmt: skip
    world.rooms.log.report("bluesky", msgspec.json.encode(report).decode())
    world.rooms.log.report("odd", "no json")
    blue, odd = admin.get("/api/v1/sources").json()["items"]
    assert (blue["state"], blue["rate"], blue["age_seconds"], blue["records"]) == (
        "live",
        8.5,
        2.0,
        9,
    )
    assert (odd["connection"], odd["state"], odd["age_seconds"]) == ("odd", "unknown", None)


def test_quarantine_pages_through_every_record_with_its_reason(world, admin):
    rows = [bad_record(n, b"\xff" * 3000, "bad") for n in range(5)]
    world.put(quarantine=rows_of(QUARANTINE, *rows))
    seen, url = [], "/api/v1/quarantine?limit=2"
    while url:
        page = admin.get(url).json()
        seen += page["items"]
        url = page["next_url"]
    assert [q["offset"] for q in seen] == [0, 1, 2, 3, 4]
    assert (seen[0]["reason"], seen[0]["size"], len(seen[0]["raw"])) == ("bad", 3000, 2000)


def test_a_quarantined_record_is_read_again_as_it_came(world, admin, monkeypatch):
    monkeypatch.setattr("earshot.api.operate.WAIT_S", 0.0)
    world.put(quarantine=rows_of(QUARANTINE, bad_record(3, b'{"a": 1}')))
    world.offset = -1
    world.put(stored("1"))
    answer = admin.post("/api/v1/quarantine/replay", json={"offsets": [3]})
    assert answer.json()["applied"] is False
    again = world.rooms.log.read(0).row(0, named=True)
    assert (again["raw"], again["format"], again["source"]) == (b'{"a": 1}', "x_v1", "x")
    assert again["key"] == "a.jsonl:3"
    assert admin.post("/api/v1/quarantine/replay", json={"offsets": [4]}).status_code == 404


def test_ready_means_that_every_part_is_well(world):
    client = world.client()
    assert client.get("/readyz").status_code == 503
    world.engine_says(lag_records=2)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    said = {c["name"]: (c["ok"], c["detail"]) for c in answer.json()["checks"]}
    assert said["engine"] == (True, "2 records behind")
    assert set(said) == {"engine", "disk", "log", "store", "control"}
    world.clock.pass_(11)
    checks = client.get("/readyz").json()["checks"]
    assert [c["name"] for c in checks if not c["ok"]] == ["engine"]


def test_an_engine_that_waits_says_why_until_it_works_again(world, admin):
    world.engine_says(trouble="store.db: the disk is full: free some space")
    answer = world.client().get("/readyz")
    bad = {c["name"]: c["detail"] for c in answer.json()["checks"] if not c["ok"]}
    assert bad == {"engine": "store.db: the disk is full: free some space"}
    assert answer.status_code == 503
    assert admin.get("/api/v1/system").json()["engine"]["trouble"] == bad["engine"]
    assert "earshot_engine_held 1.0" in world.client().get("/metrics").text
    world.engine_says(trouble="")
    assert world.client().get("/readyz").status_code == 200
    assert admin.get("/api/v1/system").json()["engine"]["trouble"] is None
    assert "earshot_engine_held 0.0" in world.client().get("/metrics").text


def test_an_engine_that_is_there_and_says_nothing_is_paused_or_cannot_write(world):
    world.rooms = dataclasses.replace(world.rooms, engine_alive=lambda: True)
    world.engine_says()
    world.clock.pass_(30)
    bad = [c for c in world.client().get("/readyz").json()["checks"] if not c["ok"]]
    assert [c["name"] for c in bad] == ["engine"]
    assert "nothing was heard of it for 30 s: it is paused" in bad[0]["detail"]


def test_a_disk_that_is_nearly_full_is_told_before_writes_fail(world, monkeypatch):
    world.engine_says()
    monkeypatch.setattr(health, "LOW_BYTES", 1 << 62)
    answer = world.client().get("/readyz")
    (bad,) = [c for c in answer.json()["checks"] if not c["ok"]]
    assert (answer.status_code, bad["name"]) == (503, "disk")
    assert "free some space" in bad["detail"]


def test_a_part_that_fails_is_named_and_the_others_are_looked_at(world, monkeypatch):
    world.engine_says()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(type(world.rooms.log), "append", full)
    answer = world.client().get("/readyz")
    bad = [c for c in answer.json()["checks"] if not c["ok"]]
    assert (answer.status_code, [(c["name"], c["detail"]) for c in bad]) == (
        503,
        [("log", "disk full")],
    )


def test_the_system_tells_what_runs_and_what_is_kept(world, admin):
    world.put(stored("1", event_time=NOON - dt.timedelta(hours=1)), stored("2"))
    world.engine_says(records=100, stage_us={"decode": 500})
    said = admin.get("/api/v1/system").json()
    assert (said["oldest"], said["newest"]) == ("2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z")
    assert said["keep"] == {"posts": "all", "days": 7.0, "gigabytes": 5.0}
    assert (said["engine"]["running"], said["engine"]["stage_us"]) == (True, {"decode": 5.0})
    assert said["store_bytes"] > 0


def test_metrics_hold_the_flow_the_engine_and_the_sources(world, admin):
    world.engine_says(records_per_second=12.5, lag_records=3, stage_us={"decode": 50})
    world.put(counts=rows_of(COUNT, (NOON, "x", 0, "unique", 5), (NOON, "x", 0, "late", 2)))
    world.rooms.log.report("x", '{"source":"x","state":"live","per_second":2}')
    text = admin.get("/metrics").text
    for line in (
        "earshot_engine_running 1.0",
        "earshot_engine_records_per_second 12.5",
        'earshot_engine_stage_microseconds_per_record{stage="decode"} 5.0',
        'earshot_records_total{class="unique",source="x"} 5.0',
        'earshot_posts_total{mark="late",source="x"} 2.0',
        'earshot_source_state{connection="x",state="live"} 1.0',
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize(
    ("headers", "role", "status"),
    [
        ({}, None, 200),
        ({"X-Forwarded-For": "10.0.0.9"}, None, 401),
        ({"X-Forwarded-For": "127.0.0.1"}, "viewer", 403),
        ({"Forwarded": "for=x"}, "admin", 200),
    ],
)
def test_metrics_are_for_this_machine_or_who_may(world, headers, role, status):
    assert world.client(role).get("/metrics", headers=headers).status_code == status
