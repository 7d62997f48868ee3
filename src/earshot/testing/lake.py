"""What every lake must keep, as tests; shipped, so that plug-ins can run them too.

A subclass gives the fixture `open_it`, a function that opens the same lake anew.
"""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from earshot.errors import UsageError
from earshot.lake import Lake
from earshot.model.schema import STORED
from earshot.testing.builders import NOON, posts_of, stored
from earshot.testing.store import WHOLE, keys

OpenLake = Callable[[], Lake]
DAY = dt.timedelta(days=1)


def texts(lake: Lake) -> dict[str, str]:
    """Id → text of all that the view shows; each id once."""
    rows = lake.sql("SELECT id, text FROM posts").rows()
    assert len({i for i, _ in rows}) == len(rows)
    return dict(rows)


class LakeContract:
    """The meaning of `Lake`, as tests."""

    @pytest.fixture
    def lake(self, open_it: OpenLake) -> Lake:
        """A new lake."""
        return open_it()

    def test_an_empty_lake_has_its_columns_and_no_rows(self, lake: Lake) -> None:
        """So that a query that will find something later is no error now."""
        assert lake.sql("SELECT * FROM posts").columns == STORED.names()
        assert lake.sql("SELECT count(*) FROM posts WHERE likes > 3").item() == 0

    def test_a_post_comes_back_exactly(self, lake: Lake) -> None:
        """Every column, whatever the day and the network."""
        given = posts_of([WHOLE, stored("2", source="x", event_time=NOON - 4000 * DAY)])
        assert lake.append(given) == 2
        assert lake.sql("SELECT * FROM posts").sort("id").equals(given.sort("id"))

    def test_what_is_there_already_is_not_written_again(self, open_it: OpenLake) -> None:
        """By key and version, also by somebody who opens it anew."""
        with open_it() as lake:
            assert lake.append(posts_of([stored("1"), stored("2"), stored("2")])) == 2
        with open_it() as lake:
            assert lake.append(posts_of([stored("2"), stored("3")])) == 1
            assert set(texts(lake)) == {"1", "2", "3"}

    def test_the_newest_version_is_shown_whatever_the_order(self, lake: Lake) -> None:
        """By (version, received_at, offset); before and after compaction."""
        later = NOON + DAY
        for n, (version, received, offset) in enumerate(
            [(2, NOON, 1), (1, later, 9), (2, later, 1), (2, later, 0), (2, later, 7)]
        ):
            row = stored("1", f"{n}", version=version, received_at=received, offset=offset)
            lake.append(posts_of([row, stored(f"other {n}")]))
        assert texts(lake)["1"] == "4"
        assert len(texts(lake)) == 6
        assert lake.compact() > 0
        assert (texts(lake)["1"], len(texts(lake))) == ("4", 6)
        assert lake.compact() == 0

    def test_what_replaces_a_row_does_so_on_whatever_day_it_lay(self, lake: Lake) -> None:
        """Once, also after compaction; erased keys stay erased."""
        lake.append(posts_of([stored("1", "old"), stored("2", "stays"), stored("3")]))
        lake.erase(keys("3"))
        moved = [stored(i, "new", event_time=NOON - 40 * DAY, version=2) for i in ("1", "3", "4")]
        assert lake.replace(posts_of(moved)) == 2
        assert texts(lake) == {"1": "new", "2": "stays", "4": "new"}
        hidden = stored("1", "new", event_time=NOON - 40 * DAY, version=2, hidden=True)
        lake.replace(posts_of([hidden]))
        assert texts(lake) == {"2": "stays", "4": "new"}
        assert lake.compact() == 2
        assert texts(lake) == {"2": "stays", "4": "new"}

    def test_what_is_erased_is_never_shown_again(self, open_it: OpenLake) -> None:
        """At once, after compaction, and when it is appended again."""
        with open_it() as lake:
            lake.append(posts_of([stored("1"), stored("2"), stored("3", source="x")]))
            lake.erase(keys("1", "unknown"))
            assert set(texts(lake)) == {"2", "3"}
        with open_it() as lake:
            assert lake.compact() == 1
            assert lake.append(posts_of([stored("1", version=5)])) == 0
            assert set(texts(lake)) == {"2", "3"}
            lake.erase(keys("2"))
            lake.erase(keys("3", source="x"))
            assert (lake.compact(), texts(lake)) == (2, {})

    def test_hidden_posts_are_not_shown(self, lake: Lake) -> None:
        """Until a row comes that says otherwise."""
        lake.append(posts_of([stored("1", hidden=True), stored("2")]))
        assert set(texts(lake)) == {"2"}
        lake.append(posts_of([stored("1"), stored("2", hidden=True)]))
        assert set(texts(lake)) == {"1"}

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT nothing FROM posts",
            "SELEC 1",
            "",
            "SELECT 1; SELECT 2",
            "DROP VIEW posts",
            "INSERT INTO posts SELECT * FROM posts",
            "COPY posts TO '/tmp/out.csv'",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM glob('/etc/*')",
            "SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')",
            "ATTACH '/tmp/other.db'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
            "SELECT * FROM query",
        ],
    )
    def test_a_query_that_cannot_be_is_refused_with_the_reason(
        self, lake: Lake, query: str
    ) -> None:
        """Nothing but reading, nothing but the lake; the lake works on."""
        lake.append(posts_of([stored("1")]))
        with pytest.raises(UsageError) as caught:
            lake.sql(query)
        assert str(caught.value)
        assert caught.value.hint
        assert set(texts(lake)) == {"1"}

    def test_queries_and_compaction_do_not_disturb_each_other(self, open_it: OpenLake) -> None:
        """A reader sees each post once, however often files are replaced meanwhile."""
        with open_it() as lake:
            lake.append(posts_of([stored(f"{n}", event_time=NOON + n * DAY) for n in range(12)]))

            def look(_: int) -> int:
                with open_it() as reader:
                    return len(texts(reader))

            with ThreadPoolExecutor(3) as pool:
                looks = pool.map(look, range(24))
                for version in range(1, 5):
                    rows = (
                        stored(f"{n}", event_time=NOON + n * DAY, version=version)
                        for n in range(12)
                    )
                    lake.append(posts_of(rows))
                    lake.compact()
                assert set(looks) == {12}
            assert len(texts(lake)) == 12
