"""Cutting gives the same items however the text comes in blocks, and from wherever it goes on."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.sources._archive import cut
from earshot.sources._archive.cut import Place

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=3), max_size=6)


def blocks(text, size):
    return [text[at : at + size] for at in range(0, len(text), size)]


def items(batches):
    return [(line, raw) for b in batches for line, raw in zip(b.lines, b.raws, strict=True)]


def same_from_everywhere(cutter, text, size):
    """The items, after checking that every batch's end is a place to go on from."""
    whole = list(cutter(blocks(text, size), Place()))
    found = items(whole)
    for n, batch in enumerate(whole):
        rest = items(cutter(blocks(text[batch.end.offset :], size), batch.end))
        assert rest == items(whole[n + 1 :])
    return found


@given(OBJECTS, st.integers(1, 40), st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
def test_lines_are_what_lies_between_line_ends(objects, size, end, closed):
    text = end.join(json.dumps(o) for o in objects).encode() + (end.encode() if closed else b"")
    found = same_from_everywhere(cut.lines, text, size)

    wanted = [(n + 1, s) for n, s in enumerate(text.split(b"\n")) if s.strip()]
    assert found == [(n, s.removesuffix(b"\r")) for n, s in wanted]


@given(OBJECTS, st.integers(1, 40), st.sampled_from([None, 0, 2]), st.booleans())
def test_values_are_the_members_of_arrays_or_stand_one_after_another(objects, size, indent, array):
    if array:
        text = json.dumps(objects, indent=indent).encode()
    else:
        text = "\n".join(json.dumps(o, indent=indent) for o in objects).encode()
    found = same_from_everywhere(cut.values, text, size)

    assert [json.loads(raw) for _, raw in found] == objects
    for line, raw in found:
        assert raw.split(b"\n")[0] in text.split(b"\n")[line - 1]


@given(
    st.lists(st.lists(st.text(max_size=6), min_size=2, max_size=2), max_size=8), st.integers(1, 40)
)
def test_rows_end_outside_quotes(table, size):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    text = out.getvalue().encode()
    found = same_from_everywhere(cut.rows, text, size)

    again = [next(csv.reader(io.StringIO(raw.decode(), newline=""))) for _, raw in found]
    assert again == table


@given(st.lists(st.text("ab: ", min_size=1, max_size=9), max_size=8), st.integers(1, 30))
def test_events_end_at_blank_lines(datas, size):
    text = "".join(f"event: e\ndata: {d}\n\n" for d in datas).encode()
    found = same_from_everywhere(cut.events, text, size)

    assert [raw.strip() for _, raw in found] == [
        f"event: e\ndata: {d}".strip().encode() for d in datas
    ]
    assert [line for line, _ in found] == [3 * n + 1 for n in range(len(datas))]


def test_an_array_that_is_cut_off_gives_its_members_and_the_rest():
    found = items(cut.values([b'[{"a": 1},\n {"b": [2}, '], Place()))

    assert found == [(1, b'{"a": 1}'), (2, b'{"b": [2},')]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_byte_order_mark_belongs_to_no_item(size):
    text = b'\xef\xbb\xbf{"a": 1}\n{"b": 2}\n'
    for cutter in (cut.lines, cut.values):
        parts = [text[:5], *blocks(text[5:], size)]
        assert [raw for _, raw in items(cutter(parts, Place()))] == [b'{"a": 1}', b'{"b": 2}']
