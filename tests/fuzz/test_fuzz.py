"""Junk of every kind, all the way into the store; `python -m tests.fuzz` does more of it."""

import random

import pytest
from tests.fuzz import junk
from tests.fuzz.bases import anew, bases
from tests.fuzz.drive import FoundError, Fuzzer, check, records_of, worked

from earshot import formats
from earshot.errors import FormatError
from earshot.model.schema import FLOW_CLASSES
from earshot.rules import compile_rules
from earshot.store import open_store


@pytest.fixture(scope="module")
def good():
    return bases(posts=500)


def test_there_is_something_to_break_of_every_format(good):
    assert set(good) == set(formats.names())
    assert all(len(raws) > 3 for raws in good.values())


@pytest.mark.parametrize("way", [way for _, way in junk.WAYS], ids=lambda way: way.__name__)
def test_every_way_to_break_a_record_breaks_some_and_is_seeded(good, way):
    raws = [raws[0] for raws in good.values()][: 2 if way is junk.huge else None]
    broken = [way(raw, random.Random(n)) for n, raw in enumerate(raws)]
    assert broken == [way(raw, random.Random(n)) for n, raw in enumerate(raws)]
    assert any(b != raw for b, raw in zip(broken, raws, strict=True))


def test_raw_pieces_and_doubled_keys_are_written_as_they_are():
    tree = {"a": junk.RAW + "1e400", "b": [junk.RAW + r'"\ud800"'], junk.RAW + "a": 2}
    assert junk._written(tree) == rb'{"a":1e400,"b":["\ud800"],"a":2}'


def test_other_ids_are_numbers_that_begin_alike():
    assert anew(b'{"id":1767268799000000,"n":12}', random.Random(1)).startswith(b'{"id":1767268799')
    assert anew(b'{"n":12}', random.Random(1)) == b'{"n":12}'


def test_batches_are_the_same_for_the_same_seed(good):
    assert records_of(good, 5, 2, 0).equals(records_of(good, 5, 2, 0))
    assert not records_of(good, 5, 2, 0)["raw"].equals(records_of(good, 6, 2, 0)["raw"][:5])


@pytest.mark.timeout(600)
def test_junk_is_counted_once_and_changes_nothing_for_its_neighbours(tmp_path, good):
    fuzzer = Fuzzer(tmp_path, good, seed=20, home_records=5_000)
    while fuzzer.records < 10_000:
        fuzzer.step()
    fuzzer.close()
    assert sum(fuzzer.classes.values()) == fuzzer.records
    assert set(fuzzer.classes) == set(FLOW_CLASSES)


def test_a_huge_line_is_worked_off_like_any_other(tmp_path, good):
    raws = [junk.huge(good[name][0], random.Random(n)) for n, name in enumerate(sorted(good))]
    batch = records_of(good, 1, 0, 0).clear()
    rows = [
        (n, "", "fuzz", name, fuzz_time(n), "", "", raw)
        for n, (name, raw) in enumerate(zip(sorted(good), raws, strict=True))
    ]
    records = batch.vstack(type(batch)(rows, batch.schema, orient="row"))
    with open_store(f"sqlite:///{tmp_path}/store.db", writable=True) as store:
        _, flowed = worked(store, records, compile_rules([]))
    check(records, flowed)


def fuzz_time(n):
    return records_of({"x_v1": [b"{}"]}, 1, n, 0)["received_at"][0]


def test_what_does_not_hold_is_told_with_the_record(tmp_path, good, monkeypatch):
    fuzzer = Fuzzer(tmp_path, good, seed=3)
    real = formats.decode

    def fails_on_junk(records):
        decoded = real(records)
        broken = decoded.outcome["class"] == "quarantined"
        return decoded if not broken.any() else 1 / 0

    monkeypatch.setattr("earshot.pipeline.flow.decode", fails_on_junk)
    with pytest.raises(FoundError, match=r"ZeroDivisionError.*\n.*1 records fail by themselves"):
        for_ever(fuzzer)
    fuzzer.skip()
    fuzzer.close()


def for_ever(fuzzer):
    while True:
        fuzzer.step()


def test_pages_of_junk_are_cut_into_items_or_refused_in_the_formats_own_words(good):
    rng = random.Random(4)
    for name, raws in good.items():
        for _ in range(60):
            page = b"\n".join(junk.broken(raw, rng) for raw in rng.choices(raws, k=3))
            try:
                items = list(formats.get(name).split(page))
            except FormatError:
                continue
            assert all(isinstance(item, bytes) for item in items)
