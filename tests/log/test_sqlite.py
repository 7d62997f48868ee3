"""What is special about the log in a SQLite file: torn blocks, other processes, kill -9."""

import datetime as dt
import os
import signal
import subprocess
import sys

import apsw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.errors import ConfigError, EarshotError
from earshot.log import open_log
from earshot.log.sqlite import KEPT, connect
from earshot.model.schema import RECORD
from earshot.testing.log import many, raw_of, records


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/log.db"


def change(url, statement, *values):
    db = apsw.Connection(url.removeprefix("sqlite:///"))
    db.execute(statement, values)
    db.close()


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_torn_block_is_named_by_its_offset(url, cut):
    with open_log(url) as log:
        log.append(many(3000))
    change(url, "UPDATE blocks SET data = substr(data, 1, ?) WHERE first = 1000", cut)
    with open_log(url) as log:
        assert log.read(0, limit=1000).height == 1000
        with pytest.raises(EarshotError, match=r"log\.db is damaged: the block at offset 1000 "):
            log.read(0, limit=1001)
        assert log.read(2000).height == 1000


def test_a_changed_byte_is_noticed(url):
    with open_log(url) as log:
        log.append(many(1000))
    flipped = "substr(data, 1, 5000) || x'00ff00' || substr(data, 5004)"
    change(url, f"UPDATE blocks SET data = CAST({flipped} AS BLOB)")
    with open_log(url) as log, pytest.raises(EarshotError, match="offset 0"):
        log.read(0)


def test_a_missing_block_is_named_by_its_offset(url):
    with open_log(url) as log:
        log.append(many(3000))
    change(url, "DELETE FROM blocks WHERE first = 1000")
    with open_log(url) as log, pytest.raises(EarshotError, match="at offset 1000 is missing"):
        raw_of(log)


def test_a_file_that_is_no_database_is_not_touched(url, tmp_path):
    (tmp_path / "log.db").write_bytes(b"something else, of somebody else, quite long" * 99)
    with pytest.raises(EarshotError, match=r"log\.db is damaged or no database"):
        open_log(url)
    assert (tmp_path / "log.db").read_bytes().startswith(b"something else")


def test_a_newer_file_is_not_touched(url):
    open_log(url).close()
    change(url, "PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="newer version of earshot") as caught:
        open_log(url)
    assert "upgrade" in caught.value.hint


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EarshotError, match="file"):
        open_log(f"sqlite:///{tmp_path}/file/log.db")


def test_a_url_without_a_file_is_refused():
    with pytest.raises(ConfigError, match="names no file"):
        connect("sqlite:///")


def test_a_closed_log_says_that_it_is_closed(url):
    log = open_log(url)
    log.close()
    with pytest.raises(EarshotError, match="closed"):
        log.head()


def test_a_file_without_room_is_a_reason_to_try_again_later(url):
    with connect(url) as log:
        log.append(records(b"a"))
        pages = log._writer.pragma("page_count")
        log._writer.pragma("max_page_count", pages)
        with pytest.raises(EarshotError, match=r"log\.db: the disk is full") as caught:
            log.append(many(9000, 90))
        assert type(caught.value).__name__ == "DiskError"
        log._writer.pragma("max_page_count", 1 << 30)
        assert log.append(records(b"b")) == range(1, 2)
        assert raw_of(log) == [b"a", b"b"]


WRITER = """
import sys
from earshot.log import open_log
from earshot.testing.log import records
with open_log(sys.argv[1]) as log:
    n = 0
    while True:
        n += 1
        log.append(records(*[b"%d" % n] * 40), cursors={"test": str(n)})
        print(n, flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(url):
    writer = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(writer, stdout=subprocess.PIPE, env=os.environ) as process:
        lines = [process.stdout.readline() for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    acknowledged = int(lines[-1])
    with open_log(url) as log:
        cursor = int(log.cursor("test"))
        assert cursor in {acknowledged, acknowledged + 1}
        assert raw_of(log) == [b"%d" % n for n in range(1, cursor + 1) for _ in range(40)]
        assert log.append(records(b"next")).start == cursor * 40


texts = st.text(max_size=8)
times = st.datetimes(timezones=st.just(dt.UTC))
rows = st.tuples(st.just(0), texts, texts, texts, times, texts, texts, st.binary(max_size=30))


def frame(found):
    return pl.DataFrame(found, RECORD, orient="row")


@settings(max_examples=30, deadline=None)
@given(batches=st.lists(st.lists(rows, max_size=6), max_size=6), limit=st.integers(1, 9))
def test_reading_gives_what_was_appended_however_it_is_cut(tmp_path_factory, batches, limit):
    url = f"sqlite:///{tmp_path_factory.mktemp('log')}/log.db"
    frames = [frame(b) for b in batches]
    with open_log(url) as log:
        for f in frames:
            log.append(f)
        pages, at = [], 0
        while (page := log.read(at, limit=limit)).height:
            pages.append(page)
            at += page.height
    given_ = pl.concat([frame([]), *frames]).select(KEPT.names())
    found = pl.concat([frame([]), *pages]).select(KEPT.names())
    assert found.equals(given_)
