"""Each command on a small home: what they say agrees, and as JSON it is one object."""

import csv
import io
import json

import pytest
from tests.engine.homes import NOON, SYSTEM, deleted, lines, running_engine, settings_in, tweet

UNTIL = NOON.replace(minute=30).isoformat()
POSTS = [tweet(n, f"{'cats' if n % 3 else 'dogs'} number {n} #topic{n % 4}") for n in range(40)]
SAID = [*POSTS, POSTS[0], deleted(1), deleted(2), "{torn"]


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(lines(*SAID))
    return path


@pytest.fixture
def filled(earshot, archive):
    assert earshot("rules", "add", "cats", "cats").code == 0
    assert earshot("replay", archive, "--json").json["consumed"] == len(SAID)
    return earshot


def test_all_views_agree_and_deletes_are_honoured(filled):
    counts = filled("counts", "--json").json
    assert (counts["unique"], counts["duplicate"], counts["deletes"]) == (40, 1, 2)
    assert counts["quarantined"] == 1
    assert counts["by_source"]["x"]["consumed"] == counts["consumed"] == len(SAID)
    cats = [p for p in POSTS if "cats" in p["text"]]
    assert counts["by_rule"]["cats"]["matched"] == counts["matched"] == len(cats)

    alive = {p["id_str"] for n, p in enumerate(POSTS) if n not in (1, 2)}
    found = filled("search", "number", "--limit", "100", "--json").json
    assert (found["total"], found["complete"]) == (38, True)
    assert {p["id"] for p in found["posts"]} == alive

    query = "SELECT count(*) n, count(DISTINCT id) ids FROM posts"
    assert filled("sql", query, "--json").json["rows"] == [{"n": 38, "ids": 38}]

    top = filled("top", "--at", UNTIL, "--json").json["rows"]
    tags = {row["value"]: row["posts"] for row in top}
    left = [f"topic{n % 4}" for n in range(40) if n not in (1, 2)]
    assert tags == {tag: left.count(tag) for tag in left}
    of_rule = filled("top", "--facet", "total", "--rule", "cats", "--at", UNTIL, "--json")
    assert [row["posts"] for row in of_rule.json["rows"]] == [len(cats) - 2]

    ids = filled("export", "--format", "ids").out.splitlines()
    assert len(ids) == 38


def test_exports_say_the_same_in_each_format(filled, tmp_path):
    as_json = [json.loads(line) for line in filled("export").out.splitlines()]
    as_csv = list(csv.DictReader(io.StringIO(filled("export", "--format", "csv").out)))
    assert {p["id"] for p in as_json} == {row["id"] for row in as_csv}
    assert list(as_json[0])[:2] == ["source", "id"]
    some = filled("export", "dogs").out.splitlines()
    assert 0 < len(some) < len(as_json)
    path = tmp_path / "p.parquet"
    assert filled("export", "--format", "parquet", "-o", path).code == 0
    assert path.read_bytes()[:4] == b"PAR1"


def test_an_export_that_fails_leaves_the_old_file(filled, tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("precious")
    assert filled("export", "-o", path, '"open').code == 2
    assert path.read_text() == "precious"
    assert list(tmp_path.glob(".*draft")) == []
    ended = filled("export", "-o", tmp_path / "no" / "such" / "folder.csv")
    assert (ended.code, "folder.csv cannot be written" in ended.err) == (2, True)


def test_a_second_replay_adds_nothing(filled, archive):
    again = filled("replay", archive, "--json").json
    assert (again["unique"], again["duplicate"], again["deletes"]) == (0, 41, 2)
    assert filled("search", "number", "--json").json["total"] == 38


@pytest.mark.parametrize(
    "arguments",
    [
        ["counts"], ["search", "cats"], ["top", "--at", UNTIL], ["sources"], ["rules", "list"],
        ["rules", "format", "cats OR dogs"], ["rules", "test", "cats"], ["doctor"],
        ["sql", "SELECT id, event_time FROM posts LIMIT 2"], ["rules", "add", "n", "a"],
    ],
)  # fmt: skip
def test_json_is_one_object_and_tables_are_for_people(filled, arguments):
    ended = filled(*arguments, "--json")
    assert ended.code == 0
    assert isinstance(ended.json, dict)
    if arguments[:2] != ["rules", "add"]:
        shown = filled(*arguments)
        assert (shown.code, bool(shown.out.strip())) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "nowhere.jsonl"], "nowhere.jsonl"),
        (["replay", "{archive}", "--speed", "fast"], "fast"),
        (["replay", "{archive}", "--format", "x_v9"], "x_v9"),
        (["top", "--facet", "colour"], "hashtag"),
        (["top", "--window", "ten"], "--window"),
        (["top", "--at", "noon"], "--at"),
        (["top", "--rule", "nobody"], "nobody"),
        (["search", "(("], "at character"),
        (["export", "--format", "xml"], "jsonl"),
        (["sql", "SELECT nothing FROM posts"], "nothing"),
        (["sql", "DROP TABLE posts"], "error"),
        (["rules", "add", "cats", "more cats"], "named 'cats' already"),
        (["rules", "edit", "nobody", "x"], "there are: cats"),
        (["rules", "remove", "nobody"], "there are: cats"),
        (["rules", "test", "cats", "--on", "nowhere"], "nowhere"),
    ],
)
def test_wrong_use_is_told_in_a_line_and_ends_with_2(filled, archive, arguments, says):
    ended = filled(*(a.format(archive=archive) for a in arguments))
    assert ended.code == 2
    assert ended.out == ""
    assert says in ended.err
    assert "Traceback" not in ended.err


def test_a_rule_is_added_edited_and_removed(earshot):
    assert earshot("rules", "add", "a", "cats").code == 0
    edited = earshot("rules", "edit", "a", "dogs", "--json").json
    assert (edited["version"], edited["text"]) == (2, "dogs")
    assert [r["text"] for r in earshot("rules", "list", "--json").json["rules"]] == ["dogs"]
    assert earshot("rules", "remove", "a").code == 0
    assert earshot("rules", "list", "--json").json == {"rules": []}


def test_a_rule_saved_where_no_engine_runs_matches_from_the_first_record(earshot, archive):
    earshot("rules", "add", "all", "number")
    earshot("replay", archive)
    assert earshot("counts", "--json").json["by_rule"]["all"]["matched"] == 40


def test_a_rule_saved_beside_an_engine_acts_two_seconds_later(earshot, tmp_path):
    """And not before, so that it does not depend on when the engine looked."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(lines(*(tweet(n) for n in range(5))))
    second.write_text(lines(*(tweet(n) for n in range(5, 12))))
    with running_engine(settings_in(tmp_path)):
        saved = earshot("rules", "add", "all", "number", "--json").json
        before = SYSTEM.now()
        earshot("replay", first)
        early = SYSTEM.now().isoformat() < saved["active_from"]
        while SYSTEM.now().isoformat() < saved["active_from"]:
            pass
        earshot("replay", second)
        counts = earshot("counts", "--json").json
    assert (SYSTEM.now() - before).total_seconds() < 60
    matched = counts["by_rule"]["all"]["matched"]
    assert matched == 7 if early else matched in range(7, 13)


def test_sources_tells_how_a_replay_ended(filled):
    (source,) = filled("sources", "--json").json["sources"]
    assert (source["state"], source["records"]) == ("done", len(SAID))
    assert source["connection"].startswith("archive:")


def test_doctor_names_what_is_wrong(earshot, home, monkeypatch):
    (home / "data").mkdir(parents=True)
    (home / "data" / "control.db").write_bytes(b"no database " * 1000)
    ended = earshot("doctor", "--json")
    checks = {c["name"]: c for c in ended.json["checks"]}
    assert (ended.code, ended.json["ok"], checks["control"]["ok"]) == (1, False, False)
    assert checks["store"]["ok"]


def test_copies_count_once_where_that_is_asked_for(earshot, tmp_path):
    text = "the old bridge over the river will be closed for repairs until the end of next week"
    said = [tweet(n, text) for n in range(3)] + [tweet(3, text + " folks")]
    path = tmp_path / "copies.jsonl"
    path.write_text(lines(*said))
    trial = ("rules", "test", "bridge", "--on")
    assert earshot(*trial, path, "--variant", "once", "--json").json["hits"] == 2
    assert earshot("replay", path).code == 0

    once = ("--variant", "once")
    for command in (("search", "bridge"), (*trial, "stored")):
        for more, n in (((), 4), (once, 2)):
            said = earshot(*command, *more, "--json").json
            assert said.get("total", said.get("hits")) == n
    rows = [json.loads(line) for line in earshot("export", *once).out.splitlines()]
    assert [(r["id"], r["family_id"], r["family_size"]) for r in rows] == [
        (tweet(n)["id_str"], tweet(0)["id_str"], 4) for n in (0, 3)
    ]
    assert earshot("search", "bridge", "--variant", "twice").code == 2
