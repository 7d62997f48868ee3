"""What every log must keep, as tests; shipped, so that plug-ins can run them too.

A subclass gives the fixture `open_it`, a function that opens the same log anew; it takes
`max_bytes`.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from earshot.errors import LogFullError
from earshot.log import Log
from earshot.model.schema import GAP, RECORD

NOON = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
OpenLog = Callable[..., Log]


def records(*raw: bytes, at: dt.datetime = NOON, connection: str = "test") -> pl.DataFrame:
    """RECORD rows that hold these bytes."""
    rows = [(-1, "x", connection, "x_v1", at, f"key {i}", "", r) for i, r in enumerate(raw)]
    return pl.DataFrame(rows, RECORD, orient="row")


def many(n: int, size: int = 20, at: dt.datetime = NOON) -> pl.DataFrame:
    """`n` RECORD rows of about `size` bytes that no packer can shorten much."""
    return records(
        *(((i * 0x9E3779B97F4A7C15) ** 9).to_bytes(90, "big")[:size] for i in range(n)), at=at
    )


def raw_of(log: Log, offset: int = 0) -> list[bytes]:
    """The bytes of everything from `offset` on, read page by page."""
    found: list[bytes] = []
    while (page := log.read(offset, limit=700)).height:
        found += page["raw"].to_list()
        offset = page["offset"][-1] + 1
    return found


def _gap(detail: str) -> pl.DataFrame:
    row = ("x", "test", 0, NOON, NOON + HOUR, "disconnect", detail)
    return pl.DataFrame([row], GAP, orient="row")


class LogContract:
    """The meaning of `Log`, as tests."""

    def test_a_new_log_is_empty(self, open_it: OpenLog) -> None:
        """Nothing to read, and the first offset is 0."""
        with open_it() as log:
            assert (log.head(), log.oldest(), log.read(0).height) == (0, 0, 0)
            assert log.read(0).schema == RECORD
            assert log.append(records(b"a", b"b")) == range(2)

    def test_what_was_appended_is_read_back_exactly(self, open_it: OpenLog) -> None:
        """Every column, by somebody who opens it anew, with dense offsets."""
        given = many(2500)
        with open_it() as log:
            log.append(given[:1])
            assert log.append(given[1:]) == range(1, 2500)
        with open_it() as log:
            pages = [log.read(at, limit=1000) for at in (0, 1000, 2000)]
        assert pl.concat(pages).equals(given.with_columns(offset=pl.int_range(2500)))

    @pytest.mark.parametrize(("offset", "limit"), [(0, 1), (999, 2), (1000, 1000), (1499, 7)])
    def test_a_page_begins_at_its_offset_and_ends_at_its_limit(
        self, open_it: OpenLog, offset: int, limit: int
    ) -> None:
        """Wherever blocks begin and end inside."""
        with open_it() as log:
            log.append(many(1500))
            log.append(records(b"last"))
            page = log.read(offset, limit=limit)
        assert page["offset"].to_list() == list(range(offset, min(offset + limit, 1501)))

    def test_cursor_and_gaps_come_with_the_records(self, open_it: OpenLog) -> None:
        """The newest cursor of each connection; gaps in order, with their number."""
        with open_it() as log:
            log.append(records(b"a"), cursors={"one": "1", "two": "1"}, gaps=_gap("first"))
            log.append(records(), cursors={"one": "2"}, gaps=_gap("second"))
            assert [log.cursor(c) for c in ("one", "two", "three")] == ["2", "1", None]
            assert log.gaps()["detail"].to_list() == ["first", "second"]
            assert log.gaps(log.gaps()["seq"][0])["detail"].to_list() == ["second"]
            assert log.gaps().drop("seq").schema == GAP
            assert log.head() == 1

    def test_a_full_log_takes_nothing_and_says_so(self, open_it: OpenLog) -> None:
        """Back-pressure: records, cursor and gaps of the refused append are not there."""
        with open_it(max_bytes=400_000) as log:
            log.append(many(2000, 90), cursors={"test": "1"})
            with pytest.raises(LogFullError, match="full") as caught:
                log.append(many(3000, 90), cursors={"test": "2"}, gaps=_gap("lost"))
            assert caught.value.retry_after > 0
            assert (log.head(), log.cursor("test"), log.gaps().height) == (2000, "1", 0)
            assert log.append(records(), cursors={"test": "3"}) == range(2000, 2000)
            assert log.cursor("test") == "3"

    def test_what_is_too_large_for_the_limit_gets_in_once_all_else_is_trimmed(
        self, open_it: OpenLog
    ) -> None:
        """Else its source would be held for ever: the limit is passed by one append at most."""
        with open_it(max_bytes=400_000) as log:
            log.append(many(2000, 90))
            with pytest.raises(LogFullError):
                log.append(many(6000, 90))
            log.trim(upto=2000, before=NOON, max_bytes=200_000)
            assert log.append(many(6000, 90)) == range(2000, 8000)
            with pytest.raises(LogFullError):
                log.append(records(b"no more"))

    def test_a_page_of_huge_records_is_shorter_than_its_limit(self, open_it: OpenLog) -> None:
        """Memory stays bounded; nothing is left out of the pages after it."""
        size, n = 4_000_000, 12
        with open_it() as log:
            log.append(records(*(b"%d" % i * size for i in range(10, 10 + n))))
            page = log.read(0, limit=n)
            assert 0 < page.height < n
            assert page["offset"].to_list() == list(range(page.height))
            assert [raw[:2] for raw in raw_of(log)] == [b"%d" % i for i in range(10, 10 + n)]

    def test_trimming_makes_room_and_offsets_go_on(self, open_it: OpenLog) -> None:
        """Only what is worked off and old goes; nothing is ever numbered twice."""
        with open_it() as log:
            for hour in range(4):
                log.append(records(b"%d" % hour, at=NOON + hour * HOUR))
            assert log.trim(upto=1, before=NOON + 3 * HOUR, max_bytes=1 << 30) == 1
            assert log.trim(upto=4, before=NOON + 2 * HOUR, max_bytes=1 << 30) == 1
            assert (log.oldest(), raw_of(log)) == (2, [b"2", b"3"])
            assert log.trim(upto=3, before=NOON, max_bytes=0) == 1
            assert log.trim(upto=4, before=NOON + 9 * HOUR, max_bytes=0) == 1
            assert (log.oldest(), log.head(), log.read(0).height) == (4, 4, 0)
        with open_it() as log:
            assert log.append(records(b"new")) == range(4, 5)
            assert raw_of(log) == [b"new"]

    def test_many_appenders_never_share_an_offset(self, open_it: OpenLog) -> None:
        """Each append has a stretch of its own, in its own order."""

        def write(writer: int) -> Sequence[range]:
            with open_it() as log:
                return [log.append(records(*(b"%d" % writer,) * 3)) for _ in range(10)]

        with ThreadPoolExecutor(4) as pool:
            stretches = [(w, r) for w, rs in enumerate(pool.map(write, range(4))) for r in rs]
        with open_it() as log:
            found = raw_of(log)
        assert len(found) == 120
        assert all(found[r.start : r.stop] == [b"%d" % w] * 3 for w, r in stretches)

    def test_the_newest_report_of_each_connection_is_kept(self, open_it: OpenLog) -> None:
        """Beside the log proper."""
        with open_it() as log:
            log.report("one", "{}")
            log.report("one", '{"state":"live"}')
            log.report("two", "{}")
            assert log.reports() == {"one": '{"state":"live"}', "two": "{}"}
            assert log.head() == 0

    def test_its_size_grows_with_what_it_holds(self, open_it: OpenLog) -> None:
        """Bytes on disk."""
        with open_it() as log:
            before = log.size()
            log.append(many(3000, 90))
            assert log.size() > before + 200_000

    def test_closing_twice_is_closing_once(self, open_it: OpenLog) -> None:
        """And what was appended is there afterwards."""
        log = open_it()
        log.append(records(b"a"))
        log.close()
        log.close()
        with open_it() as again:
            assert raw_of(again) == [b"a"]
