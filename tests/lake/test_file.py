"""What is special about the lake in a folder: its files."""

import datetime as dt

import polars as pl
import pyarrow.parquet as pq
import pytest

from earshot.errors import EarshotError
from earshot.lake import file as lake_file
from earshot.lake import open_lake
from earshot.testing.builders import NOON, posts_of, stored
from earshot.testing.lake import texts
from earshot.testing.store import keys

DAY = dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "lake"


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.glob("source=*/**/*.parquet"))


def test_files_lie_by_source_and_day_of_the_event(root):
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("1"), stored("2", source="x", event_time=NOON - DAY)]))
    assert [f.rpartition("/")[0] for f in files(root)] == [
        "source=mastodon/date=2026-03-01",
        "source=x/date=2026-02-28",
    ]


def test_files_are_zstd_and_know_the_version_of_their_schema(root):
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("1")]))
    (path,) = files(root)
    meta = pq.read_metadata(root / path)
    assert meta.metadata[b"earshot.schema"] == lake_file.SCHEMA_VERSION.encode()
    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_others_may_read_the_folder_as_it_is(root):
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("1"), stored("2", event_time=NOON - DAY)]))
        lake.erase(keys("2"))
        lake.compact()
    whole = pl.scan_parquet(root / "source=*" / "date=*" / "*.parquet").collect()
    assert whole["id"].to_list() == ["1"]


def test_compaction_takes_erased_text_off_the_disk(root):
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("1", "secret"), stored("2", "open")]))
        lake.append(posts_of([stored("3", "secret", event_time=NOON - DAY)]))
        lake.erase(keys("1", "3"))
        assert lake.compact() == 2
    left = [pl.read_parquet(root / f)["text"].to_list() for f in files(root)]
    assert left == [["open"]]


def test_a_compaction_that_finds_a_reader_is_done_the_next_time(root, monkeypatch):
    monkeypatch.setattr(lake_file, "PATIENCE_S", 0.0)
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("1"), stored("2")]))
        lake.erase(keys("1"))
        with lake._reading.waiting(shared=True):
            assert lake.compact() == 0
            assert set(texts(lake)) == {"2"}
        assert lake.compact() == 1
        assert set(texts(lake)) == {"2"}


def test_a_torn_file_is_named(root):
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("1")]))
        (path,) = files(root)
        (root / path).write_bytes(b"PAR1 torn")
        with pytest.raises(EarshotError, match=r"000000000001\.parquet"):
            lake.sql("SELECT * FROM posts")


def test_a_draft_left_by_a_crash_is_no_file_of_the_lake(root):
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("1")]))
        (path,) = files(root)
        (root / path).with_name(".000000000009.parquet.draft").write_bytes(b"PAR1 half")
        assert set(texts(lake)) == {"1"}


def test_a_write_that_a_crash_cut_short_never_counts(root, monkeypatch):
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("1"), stored("2")]))
        monkeypatch.setattr(type(lake), "_count", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lake.append(posts_of([stored("1", "new", version=1), stored("3", source="x")]))
        monkeypatch.undo()
        assert texts(lake) == {"1": "hello", "2": "hello"}
    with open_lake(f"file:{root}") as lake:
        lake.append(posts_of([stored("4")]))
        assert texts(lake) == {"1": "hello", "2": "hello", "4": "hello"}


def test_a_closed_lake_says_that_it_is_closed(root):
    lake = open_lake(f"file:{root}")
    lake.close()
    lake.close()
    with pytest.raises(EarshotError, match="closed"):
        lake.append(posts_of([]))


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EarshotError, match="file"):
        open_lake(f"file:{tmp_path}/file/lake")
