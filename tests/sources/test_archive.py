import gzip
import io
import json
import sys

import pytest
import zstandard
from tests.sources.archive_help import START, FakeClock, chunks, frame, read, status, tweet

from earshot.clock import SystemClock
from earshot.errors import ConfigError, NotFoundError, UsageError
from earshot.formats import decode, get
from earshot.sources.archive import connect


def lines(n, first=0):
    return "".join(tweet(i) + "\n" for i in range(first, first + n)).encode()


def outcome(records):
    import polars as pl

    return decode(records.select(pl.lit(None, pl.Int64).alias("offset"), pl.all())).outcome


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.jsonl").write_bytes(lines(3))
    (tmp_path / "deep" / "a.jsonl.gz").write_bytes(gzip.compress(lines(2, 10)))
    (tmp_path / "c.zst").write_bytes(zstandard.compress(lines(4, 20)))
    (tmp_path / "README.md").write_text("# Data\nSome tweets, 9 lines\n")
    (tmp_path / "manifest.json").write_text('{\n "files": ["b.jsonl"],\n "lines": 3\n}\n')
    (tmp_path / "frames.bin").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "empty.json").write_bytes(b"")
    (tmp_path / ".hidden.jsonl").write_bytes(lines(1))
    return tmp_path


def test_a_folder_is_read_in_order_and_what_holds_no_payloads_is_skipped_with_a_notice(folder):
    clock = FakeClock()
    got = chunks(connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(folder)]))

    assert frame(got)["key"].to_list() == [
        *(f"b.jsonl:{n}" for n in (1, 2, 3)),
        *(f"c.zst:{n}" for n in (1, 2, 3, 4)),
        *(f"deep/a.jsonl.gz:{n}" for n in (1, 2)),
    ]
    skipped = {c.detail.split(":")[0] for c in got if "skipped" in c.detail}
    assert skipped == {
        f"skipped {n}" for n in ("README.md", "manifest.json", "frames.bin", "empty.json")
    }
    assert got[-1].state == "done"


def test_records_say_their_network_format_and_that_they_are_of_an_archive(folder):
    records = read(folder / "b.jsonl")

    assert set(records["source"]) == {"x"}
    assert set(records["format"]) == {"x_v1"}
    assert set(records["headers"]) == {'{"archive":true}'}
    assert set(records["received_at"]) == {START}
    assert records["raw"][0] == tweet(0).encode()


def test_a_url_may_name_the_path_and_the_options(folder):
    clock = FakeClock()
    source = connect(f"archive:{folder}/b%2Ejsonl?speed=2x", clock=clock, sleep=clock.sleep)

    assert frame(chunks(source)).height == 3
    assert sum(clock.slept) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["README.md", "empty.json", "frames.bin"])
def test_a_file_named_itself_without_payloads_is_an_error_before_anything_is_taken(folder, name):
    source = connect("archive:", clock=FakeClock(), paths=[str(folder), str(folder / name)])

    with pytest.raises(UsageError, match=name) as error:
        chunks(source)
    assert "x_v1" in error.value.hint


def test_a_folder_without_payloads_is_an_error(tmp_path):
    (tmp_path / "README.md").write_text("nothing here")

    with pytest.raises(UsageError, match="no payloads"):
        read(tmp_path)


def test_a_path_that_leads_nowhere_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"missing\.jsonl"):
        read(tmp_path / "missing.jsonl")


@pytest.mark.parametrize(
    "options", [{"speed": "fast"}, {"speed": "0x"}, {"format": "x_v9"}, {"sped": "1"}]
)
def test_options_that_make_no_sense_are_refused(folder, options):
    with pytest.raises(ConfigError):
        read(folder, **options)


def test_standard_input_is_read(monkeypatch):
    class Stdin:
        buffer = io.BytesIO(gzip.compress(lines(5)))

    monkeypatch.setattr(sys, "stdin", Stdin)
    records = read("-")

    assert records["key"].to_list() == [f"stdin:{n}" for n in range(1, 6)]


def test_lines_that_are_broken_are_records_that_say_file_and_line(tmp_path):
    whole = lines(2) + b'{"created_at": "Thu Jan\n\n' + b"\xff\xfe broken\r\n" + lines(1, 5)
    (tmp_path / "t.jsonl").write_bytes(whole + tweet(9).encode()[:40])
    records = read(tmp_path / "t.jsonl")

    found = records.with_columns(outcome(records)["class"])
    assert found["key"].to_list() == [f"t.jsonl:{n}" for n in (1, 2, 3, 5, 6, 7)]
    bad = found.filter(found["class"] == "quarantined")
    assert bad["key"].to_list() == ["t.jsonl:3", "t.jsonl:5", "t.jsonl:7"]


def test_a_first_line_that_is_cut_off_does_not_hide_the_others(tmp_path):
    (tmp_path / "t.jsonl").write_bytes(b'{"created_at": "Thu\n' + lines(3))

    assert read(tmp_path / "t.jsonl")["key"].to_list() == [f"t.jsonl:{n}" for n in (1, 2, 3, 4)]


def test_a_line_of_ten_megabytes_passes_through(tmp_path):
    long = tweet(1, note="é" * 5_000_000)
    (tmp_path / "t.jsonl").write_text(f"{tweet(0)}\n{long}\n{tweet(2)}\n")
    records = read(tmp_path / "t.jsonl")

    assert records["raw"].to_list() == [tweet(0).encode(), long.encode(), tweet(2).encode()]


def test_json_on_many_lines_is_cut_into_its_items(tmp_path):
    pretty = json.dumps([status(n) for n in range(3)], indent=1)
    (tmp_path / "s.json").write_text(pretty)
    records = read(tmp_path / "s.json")

    assert [json.loads(r)["id"] for r in records["raw"]] == ["2000", "2001", "2002"]
    assert set(records["format"]) == {"mastodon"}
    at = [n + 1 for n, line in enumerate(pretty.splitlines()) if line == " {"]
    assert records["key"].to_list() == [f"s.json:{n}" for n in at]


def test_server_sent_events_are_items(tmp_path):
    events = (
        f":)\nevent: update\ndata: {json.dumps(status(1))}\n\n:thump\n\nevent: delete\ndata: 9\n\n"
    )
    (tmp_path / "s.sse").write_text(events)
    records = read(tmp_path / "s.sse")

    assert outcome(records)["class"].to_list() == ["create", "deletes"]
    assert records["key"].to_list() == ["s.sse:1", "s.sse:7"]


def test_lines_of_several_formats_each_get_their_own(tmp_path):
    mixed = [tweet(0), json.dumps(status(1)), tweet(2), json.dumps(status(3))]
    (tmp_path / "m.jsonl").write_text("\n".join(mixed))
    records = read(tmp_path / "m.jsonl")

    assert records["format"].to_list() == ["x_v1", "mastodon"] * 2
    assert records["source"].to_list() == ["x", "mastodon"] * 2


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_from_any_cursor_the_rest_comes_and_nothing_else(tmp_path, monkeypatch, pack):
    monkeypatch.setattr("earshot.sources._archive.cut.ROWS", 7)
    (tmp_path / "a.jsonl").write_bytes(pack(lines(20)))
    (tmp_path / "b.jsonl").write_bytes(pack(lines(11, 100)))
    clock = FakeClock()

    def fresh():
        return connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)])

    whole = chunks(fresh())
    assert sum(c.frame is not None and c.frame.height > 0 for c in whole) == 5
    for n, chunk in enumerate(whole[:-1]):
        if chunk.cursor:
            rest = frame(chunks(fresh(), chunk.cursor))
            assert rest["key"].to_list() == frame(whole[n + 1 :])["key"].to_list()


def test_finished_and_run_again_everything_is_read_again(folder):
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(folder)])
    end = chunks(source)[-1].cursor

    assert frame(chunks(source, end))["key"].to_list() == read(folder)["key"].to_list()


def test_a_cursor_of_another_file_of_that_name_begins_anew(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(5))
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(file)])
    cursor = next(c.cursor for c in chunks(source) if c.cursor)
    assert frame(chunks(source, cursor)).height == 0

    file.write_bytes(lines(6, 50))
    assert frame(chunks(source, cursor)).height == 6


def test_a_file_that_grew_goes_on_where_it_was(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(5))
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(file)])
    cursor = next(c.cursor for c in chunks(source) if c.cursor)

    with file.open("ab") as grown:
        grown.write(lines(2, 70))
    assert frame(chunks(source, cursor))["key"].to_list() == ["a.jsonl:6", "a.jsonl:7"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_file_that_ends_early_gives_what_there_is_and_says_so(tmp_path, pack):
    noise = [tweet(n, note=str(hash((n, "salt")))) for n in range(3000)]
    packed = pack("\n".join(noise).encode())
    (tmp_path / "t.packed").write_bytes(packed[: len(packed) * 2 // 3])
    clock = FakeClock()
    got = chunks(connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)]))

    assert 0 < frame(got).height < 3000
    ((item, reason),) = [q for c in got for q in c.quarantine]
    assert "ends early" in reason
    assert item.key.startswith("t.packed:")


def test_an_item_that_is_too_long_is_set_aside_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("earshot.sources._archive.cut.LIMIT", 3 << 20)
    long = tweet(1, note="x" * (5 << 20))
    (tmp_path / "t.jsonl").write_text(f"{tweet(0)}\n{long}\n{tweet(2)}\n")
    clock = FakeClock()
    got = chunks(connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)]))

    assert frame(got)["key"].to_list() == ["t.jsonl:1", "t.jsonl:3"]
    assert [(i.key, "longer" in r) for c in got for i, r in c.quarantine] == [("t.jsonl:2", True)]


def test_pace_follows_the_records_own_times(tmp_path):
    seconds = [0, 10, 5, 40]  # one is late: it comes with the one before it
    text = "\n".join(tweet(n, second=s) for n, s in enumerate(seconds))
    (tmp_path / "t.jsonl").write_text(text)
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)], speed="10x")
    handed = []

    def note(chunk):
        if chunk.frame is not None:
            handed.extend([(clock.now() - START).total_seconds()] * chunk.frame.height)

    chunks(source, stop=note)
    assert handed == pytest.approx([0, 1, 1, 4])


def test_while_paced_a_cursor_lies_between_two_records(tmp_path):
    (tmp_path / "t.jsonl").write_text("\n".join(tweet(n, second=n) for n in range(9)))
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)], speed=1)
    first = chunks(source, stop=lambda c: c.frame is not None and c.frame["key"][0] == "t.jsonl:4")

    rest = frame(chunks(source, first[-1].cursor))
    assert rest["key"].to_list() == [f"t.jsonl:{n}" for n in range(5, 10)]


def test_shifted_the_first_record_happens_now_and_a_resumed_run_shifts_alike(tmp_path, monkeypatch):
    monkeypatch.setattr("earshot.sources._archive.cut.ROWS", 2)
    (tmp_path / "t.jsonl").write_text("\n".join(tweet(n) for n in range(5)))
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)], shift=True)
    whole = chunks(source)
    shift = {json.loads(h)["shift_us"] for h in frame(whole)["headers"]}

    (only,) = shift
    assert only == (31 + 28) * 86_400 * 1_000_000
    cursor = next(c.cursor for c in whole if c.cursor)
    later = connect(
        "archive:", clock=SystemClock(), paths=[str(tmp_path)], shift=True, sleep=clock.sleep
    )
    rest = frame(chunks(later, cursor))
    assert {json.loads(h)["shift_us"] for h in rest["headers"]} == shift


def test_progress_tells_bytes_and_records(folder):
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(folder)])
    seen = []
    source.on_progress = lambda p: seen.append((p.done, p.total, p.items))
    chunks(source)

    total = sum(f.stat().st_size for f in folder.rglob("[!.]*") if f.is_file())
    assert seen[-1] == (total, total, 9)
    assert [s[0] for s in seen] == sorted(s[0] for s in seen)


def test_pages_on_lines_are_cut_and_keep_their_line(tmp_path):
    listing = {"kind": "Listing", "data": {"children": [comment("a"), comment("b")]}}
    file = tmp_path / "r.jsonl"
    file.write_text(
        f"{json.dumps(comment('z'))}\n{json.dumps(listing)}\n[{json.dumps(comment('y'))}]\n"
    )
    records = read(file)

    assert [json.loads(r)["data"]["id"] for r in records["raw"]] == ["z", "a", "b", "y"]
    assert records["key"].to_list() == ["r.jsonl:1", "r.jsonl:2", "r.jsonl:2", "r.jsonl:3"]


def comment(name):
    more = {"body": "hi", "author": "ada", "created_utc": 1.0, "subreddit": "x"}
    return {"kind": "t1", "data": {"id": name, "name": f"t1_{name}", "link_id": "t3_q", **more}}


def test_rows_of_csv_are_objects_and_keep_the_line_they_begin_on(tmp_path):
    text = "id,text,created_at\n1,hello,2026-01-01T00:00:00Z\n"
    text += '2,"two\nlines",2026-01-01T00:00:01Z\n3,"unclosed,2026-01-01T00:00:02Z\n'
    (tmp_path / "p.csv").write_text(text)
    records = read(tmp_path / "p.csv")

    assert set(records["format"]) == {"csv"}
    assert records["key"].to_list() == ["p.csv:2", "p.csv:3", "p.csv:5"]
    assert json.loads(records["raw"][1])["text"] == "two\nlines"


def test_csv_goes_on_with_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr("earshot.sources._archive.cut.ROWS", 3)
    rows = "".join(f"{n},number {n},2026-01-01T00:00:00Z\n" for n in range(10))
    (tmp_path / "p.csv").write_text("id,text,created_at\n" + rows)
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)])
    whole = chunks(source)
    second = [c.cursor for c in whole if c.frame is not None][1]
    rest = frame(chunks(source, second))

    assert [json.loads(r)["id"] for r in frame(whole)["raw"]] == [str(n) for n in range(10)]
    assert rest["raw"].to_list() == frame(whole)["raw"].to_list()[5:]


def test_a_file_cannot_command_deletes(tmp_path):
    command = json.dumps({"kind": "author_delete", "source": "x", "author_id": "7"})
    (tmp_path / "c.jsonl").write_text(command + "\n")
    with pytest.raises(UsageError, match="no payloads"):
        read(tmp_path / "c.jsonl")

    (tmp_path / "t.jsonl").write_text(f"{tweet(0)}\n{command}\n{tweet(2)}\n")
    assert set(read(tmp_path / "t.jsonl")["format"]) == {"x_v1"}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_big_file_is_read_bit_by_bit(tmp_path, pack):
    noise = "".join(tweet(n, note=f"{n * 7919:x}" * 40) + "\n" for n in range(40_000))
    (tmp_path / "big").write_bytes(pack(noise.encode()))
    clock = FakeClock()
    source = connect("archive:", clock=clock, sleep=clock.sleep, paths=[str(tmp_path)])
    got = chunks(source, stop=lambda c: c.frame is not None)

    assert got[-1].frame.height < 10_000
    assert source.progress.done < 3_000_000
    assert source.progress.done < source.progress.total or pack is gzip.compress


@pytest.mark.parametrize("name", ["x_v1_stream", "reddit", "mastodon"])
def test_lines_that_a_format_says_are_items_are_what_it_would_cut(shared_data, name):
    for file in (shared_data / name).glob("*.jsonl"):
        records = read(file)
        module = get(records["format"][0])
        text = file.read_bytes().split(b"\n")
        naive = [
            item for line in text if line.strip() for item in (list(module.split(line)) or [line])
        ]
        assert records["raw"].to_list() == naive


REAL = {
    "x_v1_stream": 5523,
    "x_v1_threads": 3399,
    "reddit": 3793 + 588 + 2905,
    "bluesky": 152,
    "meetup": 600,
}


@pytest.mark.parametrize("name", sorted(REAL))
def test_every_line_of_real_payloads_is_a_record(shared_data, name):
    assert read(shared_data / name).height >= REAL[name]
