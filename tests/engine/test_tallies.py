import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from earshot.engine import tallies
from earshot.engine.tallies import Tallies, counts_of, notes_of, tally_of
from earshot.model.schema import FLOW_CLASSES


class Facts(dict):
    def facts(self, prefix=""):
        return {k: v for k, v in self.items() if k.startswith(prefix)}


def batch(*rows):
    """(connection, class, number of embedded posts) of each record."""
    return (
        pl.DataFrame({"connection": [r[0] for r in rows]}, schema={"connection": pl.String}),
        pl.Series("class", [r[1] for r in rows], pl.String),
        pl.DataFrame(
            [(n, "embedded_new") for n, r in enumerate(rows) for _ in range(r[2])],
            schema={"record": pl.UInt32, "name": pl.String},
            orient="row",
        ),
    )


def test_each_connection_gets_its_own_classes_and_its_own_embedded_posts():
    store = Facts()
    grown = Tallies(store).with_batch(
        *batch(("a", "unique", 0), ("b", "unique", 2), ("a", "deletes", 0))
    )
    store |= notes_of(grown)
    assert tally_of(store, "a") == {"unique": 1, "deletes": 1}
    assert tally_of(store, "b") == {"unique": 1, "embedded_new": 2}
    assert tally_of(store, "nobody") == {}


def test_a_batch_that_was_not_committed_is_not_counted():
    counted = Tallies(Facts())
    lost = counted.with_batch(*batch(("a", "unique", 0)))
    again = counted.with_batch(*batch(("a", "unique", 0)))
    assert lost == again == {"a": {"unique": 1}}


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("abcde"), st.sampled_from(FLOW_CLASSES), st.integers(0, 2)),
            min_size=1,
            max_size=6,
        ),
        max_size=8,
    ),
    st.sets(st.integers(0, 7)),
)
def test_tallies_add_up_over_batches_restarts_and_forgotten_connections(batches, restarts):
    store, counted, expected = Facts(), None, {}
    tallies.REMEMBERED, before = 2, tallies.REMEMBERED
    try:
        for n, rows in enumerate(batches):
            if counted is None or n in restarts:
                counted = Tallies(store)
            grown = counted.with_batch(*batch(*rows))
            store |= notes_of(grown)
            counted.keep(grown)
            for connection, what, embedded in rows:
                mine = expected.setdefault(connection, {})
                mine[what] = mine.get(what, 0) + 1
                if embedded:
                    mine["embedded_new"] = mine.get("embedded_new", 0) + embedded
    finally:
        tallies.REMEMBERED = before
    assert {c: dict(tally_of(store, c)) for c in expected} == expected


def counted(*rows):
    schema = {"source": pl.String, "rule": pl.Int64, "name": pl.String, "n": pl.Int64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def test_consumed_is_the_sum_of_the_classes_in_all_and_by_source():
    value = counts_of(
        counted(
            ("x", 0, "unique", 3),
            ("x", 0, "control", 2),
            ("y", 0, "unique", 1),
            ("x", 0, "late", 1),
        ),
        {},
    )
    assert (value["consumed"], value["unique"], value["late"]) == (6, 4, 1)
    assert {s: v["consumed"] for s, v in value["by_source"].items()} == {"x": 5, "y": 1}


def test_a_name_used_again_is_the_newest_rules_and_the_old_ones_counts_are_not_lost():
    value = counts_of(
        counted(("x", 1, "matched", 3), ("x", 2, "matched", 5)), {1: "cats", 2: "cats"}
    )
    assert {n: marks["matched"] for n, marks in value["by_rule"].items()} == {
        "cats": 5,
        "cats #1": 3,
    }
