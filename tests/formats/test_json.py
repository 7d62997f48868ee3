"""The columnar reader: what it mends, what it refuses, and that position means nothing."""

# ruff: noqa: E501 - one case a line

import json

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from earshot.formats._json import Reader, Unwrap, picked, read

FIELDS = {
    "id": pl.String(),
    "n": pl.Int64(),
    "inner": pl.Struct({"x": pl.String}),
    "many": pl.List(pl.Struct({"x": pl.String})),
    "flag": pl.Boolean(),
}


def rows(*raws, unwrap=None):
    raw = pl.Series("raw", [r if isinstance(r, bytes) else r.encode() for r in raws], pl.Binary)
    return read(raw, FIELDS, unwrap)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r'{"id": "a\u0000b"}', "a\ufffdb"),
        (r'{"id": "\ud800x"}', "\ufffdx"),
        (r'{"id": "x\udc00"}', "x\ufffd"),
        (r'{"id": "\ud83d"}', "\ufffd"),
        (r'{"id": "\ud83d\u0041"}', "\ufffdA"),
        (r'{"id": "\ud83d\ud83d\ude00"}', "\ufffd\U0001f600"),
        (r'{"id": "\uD83D\uDE00"}', "\U0001f600"),
        (r'{"id": "\\ud800\\u0000"}', r"\ud800\u0000"),
        (r'{"id": "\\\ud800\\"}', "\\\ufffd\\"),
    ],
)
def test_nul_and_lone_surrogates_become_the_replacement_character(raw, text):
    assert rows(raw)["id"].to_list() == [text]
    assert rows(raw, '{"id": "y"}', raw)["id"].to_list() == [text, "y", text]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('{"id": "8"', "not JSON: Input data was truncated"),
        (b'{"id": "\xff"}', "not UTF-8: byte 8 is 0xff"),
        ('{"u": 1e400}', "not JSON: Number out of range"),
        ("[" * 10_000, "nested too deeply"),
        ('{"id": "8"},{"id": "9"}', "not JSON: trailing characters"),
        ('{"id": "8"}]', "not JSON: trailing characters"),
        ('{}],"x":[{}', "not JSON: trailing characters"),
        ("[]", "not a JSON object but an array"),
        ("null", "not a JSON object but null"),
        ('"x"', "not a JSON object but a text"),
        ("true", "not a JSON object but true or false"),
    ],
)
def test_what_is_no_object_is_refused_with_a_reason(raw, reason):
    found = rows('{"id": "1"}', raw, '{"id": "2"}')

    assert found["id"].to_list() == ["1", None, "2"]
    assert found["fault"][1].startswith(reason)
    assert found["row"].to_list() == [0, 1, 2]


def test_a_value_of_another_type_is_null_and_costs_nothing_else():
    odd = '{"id": {"a": 1}, "n": "12", "inner": [1], "many": {"x": 1}, "flag": "yes"}'
    mixed = '{"id": 7, "n": "x", "inner": {"x": [1]}, "many": [{"x": 1}, 5, null], "flag": true}'

    found = rows(odd, mixed).drop("row", "fault").rows()

    assert found[0] == (None, 12, None, None, None)
    assert found[1] == ("7", None, {"x": None}, [{"x": "1"}, None, None], True)


def test_equal_keys_the_first_counts():
    assert rows('{"id": "1", "id": "2"}')["id"].to_list() == ["1"]


def test_one_level_is_unwrapped_where_the_key_is_not_outside():
    unwrap = Unwrap("id", ("tweet", "inner"), outer=("flag",))
    found = rows(
        '{"id": "out", "tweet": {"id": "in"}}',
        '{"flag": true, "tweet": {"id": "in", "n": 4}}',
        '{"inner": {"id": "deep"}}',
        '{"tweet": "no object"}',
        "{}",
        unwrap=unwrap,
    )

    assert found["id"].to_list() == ["out", "in", "deep", None, None]
    assert found["flag"].to_list() == [None, True, None, None, None]
    assert found["n"][1] == 4
    assert found["fault"].null_count() == 5


def binary(*raws):
    return pl.Series("raw", [r.encode() for r in raws], pl.Binary)


def test_a_rare_field_is_found_however_its_name_is_spelled():
    usual = [f'{{"id": "{i}", "n": {i}}}' for i in range(100)]
    odd = [
        '{"id": "a", "inner": {"x": "1"}}',
        r'{"id": "b", "inn\u0065r": {"x": "2"}}',
        r'{"id": "c", "\u0069\u006E\u006e\u0065\u0072": {"x": "3"}}',
        '{"id": "d", "x": "inner"}',
        '{"id": "e", "inner": 7}',
        '{"id": "f"',
    ]
    raw = binary(*usual[:50], *odd, *usual[50:])

    found = Reader(FIELDS, rare=("inner",)).read(raw)

    assert_frame_equal(found, Reader(FIELDS).read(raw))
    assert found["inner"].struct.field("x")[50:56].to_list() == ["1", "2", "3", None, None, None]
    assert found.filter(pl.col("fault").is_not_null())["row"].to_list() == [55]


def test_how_a_wrapped_record_begins_is_only_a_guess():
    unwrap = Unwrap("id", ("inner", "tweet"), outer=("flag",))
    guess = Unwrap("id", ("inner", "tweet"), outer=("flag",), begins=b'{"flag"')
    raw = binary(
        '{"flag": true, "inner": {"id": "in", "n": 1}}',
        '{"flag": true, "inner": {"id": "in"}, "id": "out"}',
        '{"inner": {"id": "in", "flag": false}, "flag": true}',
        '{"flag": true, "tweet": {"id": "in"}}',
        '{"flag": true, "inner": null}',
        '{"flag": true, "inner": 7, "n": 2}',
        '{"flag": true, "inner": {"id": {"a": 1}, "n": "x"}}',
        '{"flag": true, "inner": {"id": "in"}}, {}',
        '{"flag": tru',
        "{}",
    )

    for some in (raw, raw[:1], raw[1:2], raw[8:]):
        assert_frame_equal(Reader(FIELDS, guess).read(some), Reader(FIELDS, unwrap).read(some))
    assert Reader(FIELDS, guess).read(raw)["id"].to_list()[:4] == ["in", "out", "in", "in"]


def test_what_is_neither_true_nor_false_is_not_picked():
    frame = pl.DataFrame({"a": [1, 2, 3]})

    assert picked(frame, pl.Series([True, None, True]))["a"].to_list() == [1, 3]
    assert picked(frame, pl.Series([True, True, True])) is frame


def test_no_record_is_no_row():
    assert rows().schema == pl.Schema({"row": pl.UInt32, "fault": pl.String, **FIELDS})
    assert not rows().height


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "x", "u"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        anything.map(json.dumps)
        | st.text(max_size=12).filter(lambda t: "\0" not in t)
        | st.binary(max_size=12),
        max_size=6,
    )
)
def test_exactly_the_objects_are_read_in_any_company(raws):  # fmt: skip
    encoded = [r if isinstance(r, bytes) else r.encode("utf-8", "replace") for r in raws]

    found = rows(*encoded)

    assert found["row"].to_list() == list(range(len(encoded)))
    for row, raw in zip(found.rows(named=True), encoded, strict=True):
        assert row == {**rows(raw).row(0, named=True), "row": row["row"]}
        assert (row["fault"] is None) == is_object(raw)


def is_object(raw):
    try:
        raw.decode()
        value = msgspec.json.decode(raw)
    except (UnicodeDecodeError, msgspec.DecodeError):
        try:  # surrogates are mended, not refused
            value = json.loads(raw.decode()) if b"\\ud" in raw.lower() else None
        except ValueError:
            return False
    return isinstance(value, dict)
