import csv
import io
import json

import polars as pl
import pyarrow.parquet as pq
import pytest

from earshot.model.schema import GAP, POST
from earshot.testing.control import NOON
from earshot.testing.store import rows_of, stored

COLUMNS = [*POST.names(), "copy", "family_source", "family_id", "family_size", "rules"]


@pytest.fixture
def posts(world):
    world.put(
        stored("1", 'hello, "world"\nsecond line', hashtags=["a", "b"], lang="en"),
        stored("2", "=HYPERLINK(1)", author_name="@ada", likes=-3, lang="en"),
        stored("3", "moon", lang="de"),
        hits=[("mastodon", "1", 4, 1)],
    )
    return world


def export(client, **params):
    answer = client.get("/api/v1/export", params=params)
    assert answer.status_code == 200, answer.text
    return answer


def rows_of_csv(text):
    lines = text.split("\n")
    comments = [line for line in lines if line.startswith("# ")]
    rest = text[sum(len(c) + 1 for c in comments) :]
    return comments, list(csv.DictReader(io.StringIO(rest)))


def test_csv_holds_every_post_in_the_order_of_the_schema(posts, admin):
    answer = export(admin)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    _, rows = rows_of_csv(answer.text)
    assert list(rows[0]) == COLUMNS
    assert [r["id"] for r in rows] == ["1", "2", "3"]
    assert rows[0]["text"] == 'hello, "world"\nsecond line'
    assert (rows[0]["hashtags"], rows[0]["rules"]) == ('["a","b"]', "[4]")
    assert rows[0]["event_time"] == "2026-03-01T12:00:00.000000Z"


def test_no_cell_is_run_by_a_spreadsheet(posts, admin):
    _, rows = rows_of_csv(export(admin).text)
    assert (rows[1]["text"], rows[1]["author_name"], rows[1]["likes"]) == (
        "'=HYPERLINK(1)", "'@ada", "-3"
    )  # fmt: skip


def test_csv_says_how_the_posts_were_found(posts, admin):
    gap = rows_of(
        pl.Schema({"seq": pl.Int64, **GAP}), (1, "mastodon", "m", 0, NOON, NOON, "slow", "a\nb")
    )
    posts.put(gaps=gap)
    posts.rooms.control.add_rule("r", "hello", active_from=NOON, actor="ada")
    comments, rows = rows_of_csv(export(admin, q='hello "x"', rule=1).text)
    said = dict(c.removeprefix("# ").split(": ", 1) for c in comments if ": " in c)
    assert json.loads(said["expression"]) == 'hello "x"'
    assert json.loads(said["rules"]) == [{"id": 1, "name": "r", "version": 1, "text": "hello"}]
    assert json.loads(said["gap"])["reason"] == "slow"
    assert json.loads(said["token_version"]) == 1
    assert rows == []
    comments, _ = rows_of_csv(export(admin, provenance="without").text)
    assert comments == []


def test_json_lines_are_one_object_a_post(posts, admin):
    lines = [json.loads(line) for line in export(admin, format="jsonl").text.splitlines()]
    assert [list(line) for line in lines] == [COLUMNS] * 3
    assert lines[1]["text"] == "=HYPERLINK(1)"
    assert (lines[0]["hashtags"], lines[0]["rules"]) == (["a", "b"], [4])


def test_parquet_keeps_types_and_provenance(posts, admin):
    answer = export(admin, format="parquet")
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.column_names == COLUMNS
    frame = pl.from_arrow(table)
    assert {k: v for k, v in frame.schema.items() if k in POST} == dict(POST)
    found = {"copy": pl.Boolean, "family_source": pl.String, "family_size": pl.Int64}
    assert {k: frame.schema[k] for k in found} == found
    assert frame["id"].to_list() == ["1", "2", "3"]
    assert json.loads(table.schema.metadata[b"earshot"])["token_version"] == 1


def test_parquet_of_nothing_has_its_columns(admin):
    table = pq.read_table(io.BytesIO(export(admin, format="parquet").content))
    assert (table.num_rows, table.column_names) == (0, COLUMNS)


def test_ids_are_keys_only(posts, admin):
    assert export(admin, format="ids").text == "mastodon\t1\nmastodon\t2\nmastodon\t3\n"


def test_how_posts_were_found_can_be_asked_for_alone(posts, admin):
    said = export(admin, provenance="only", q="hello").json()
    assert said["expression"] == "hello"
    assert said["kept_since"] == "2026-03-01T12:00:00Z"


def test_an_export_has_as_many_rows_as_the_filter_counts(world, admin, monkeypatch):
    monkeypatch.setattr(
        "earshot.engine.query.export_rows.__kwdefaults__", {"scope": None, "page": 7}
    )
    for n in range(0, 100, 20):
        world.put(
            *(stored(f"{k}", "hello" if k % 3 else "moon", lang="en") for k in range(n, n + 20))
        )
    for params in ({"q": "hello"}, {"q": "hello -moon likes:..5"}, {"lang": "en"}, {"source": "x"}):
        total = admin.get("/api/v1/posts", params={**params, "count": "exact"}).json()["total"]
        lines = export(admin, format="ids", **params).text.splitlines()
        assert len(lines) == len(set(lines)) == total


def test_an_expression_that_cannot_be_read_is_told_before_the_first_byte(admin):
    answer = admin.get("/api/v1/export", params={"q": "("})
    assert (answer.status_code, answer.json()["code"]) == (422, "rule-syntax")


def test_an_export_leaves_an_audit_line(posts, admin):
    export(admin, q="hello")
    (line,) = posts.rooms.control.audit_lines(action="posts.export")
    assert (line["actor"], line["detail"]) == ("admin", "hello")


def test_copies_can_be_left_out_and_families_stand_beside_each_post(world, admin):
    text = "the old bridge over the river will be closed for repairs until the end of next week"
    later = NOON.replace(minute=1)
    world.put(
        stored("1", text), stored("2", text, event_time=later, copy=True),
        stored("3", text + " folks", event_time=later), stored("4", "short"),
    )  # fmt: skip
    before = [json.loads(line) for line in export(admin, format="jsonl").text.splitlines()]
    assert {row["family_size"] for row in before} == {None}
    world.writer.settle(NOON.date())

    rows = [json.loads(line) for line in export(admin, format="jsonl").text.splitlines()]
    shown = {r["id"]: (r["copy"], r["family_id"], r["family_size"]) for r in rows}
    assert shown == {
        "1": (False, "1", 3), "2": (True, "1", 3), "3": (False, "1", 3), "4": (False, None, None)
    }  # fmt: skip
    once = export(admin, format="ids", variant="once").text.splitlines()
    assert sorted(once) == ["mastodon\t1", "mastodon\t3", "mastodon\t4"]
    about = export(admin, provenance="only", variant="once").json()
    assert about["variant"] == "once"
