"""What holds for every format there is: found by itself, so that a new one is held to it, too."""

# ruff: noqa: E501 - one case a line

import json

import polars as pl
import pytest
from format_samples import ITEMS, RECEIVED, records
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from earshot import formats
from earshot.model.schema import EVENT, EVENT_KINDS, INTERACTION, OUTCOME, OUTCOME_CLASSES, POST

RAWS = {name: [json.dumps(i).encode() for i in items] for name, items in ITEMS.items()}
GOOD = {name: raws[0] for name, raws in RAWS.items()}
BAD = [
    b"",
    b"  ",
    b"null",
    b"[]",
    b"7",
    b"\xff\xfe",
    b'{"id": 1e400}',
    b"[" * 10_000,
    b'{"a":' * 10_000,
    b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    b'{"id": "\x00"}',
]


@pytest.fixture(params=formats.names())
def name(request):
    return request.param


def every(decoded):
    return decoded.posts, decoded.events, decoded.interactions, decoded.outcome


def one_by_one(batch):
    """Decode each record in a batch of its own."""
    parts = [
        [f.with_columns(pl.lit(i, pl.UInt32).alias("record")) for f in every(formats.decode(batch[i : i + 1]))]
        for i in range(batch.height)
    ]  # fmt: skip
    return [pl.concat(frames) for frames in zip(*parts, strict=True)]


def test_every_format_has_samples():
    assert set(ITEMS) == set(formats.names())


def test_frames_have_the_declared_columns_also_when_there_is_no_record(name):
    for batch in (records(format=name), records(*RAWS[name], format=name)):
        posts, events, interactions, outcome = every(formats.get(name).decode(batch))

        record = {"record": pl.UInt32}
        assert posts.schema == pl.Schema({**record, "role": pl.String, **POST})
        assert events.schema == pl.Schema({**record, **EVENT})
        assert interactions.schema == pl.Schema({**record, **INTERACTION})
        assert outcome.schema == OUTCOME


def test_each_record_has_one_outcome_and_what_belongs_to_it(name):
    decoded = formats.get(name).decode(records(*RAWS[name], format=name))
    outcome = decoded.outcome

    assert outcome["record"].to_list() == list(range(len(RAWS[name])))
    assert outcome["class"].is_in(list(OUTCOME_CLASSES)).all()
    assert (outcome["reason"].is_not_null() == (outcome["class"] == "quarantined")).all()
    assert decoded.events["kind"].is_in(list(EVENT_KINDS)).all()
    roles = {"create": "create", "updates": "update"}
    for kind, role in roles.items():
        own = decoded.posts.filter(role=role)["record"].to_list()
        assert own == outcome.filter(pl.col("class") == kind)["record"].to_list()
    deletes = decoded.events.filter(kind="delete")["record"].to_list()
    if name != "earshot":
        assert deletes == outcome.filter(pl.col("class") == "deletes")["record"].to_list()


def test_posts_have_key_text_kind_and_time(name):
    posts = formats.get(name).decode(records(*RAWS[name], format=name)).posts

    needed = ("source", "id", "kind", "text", "event_time", "received_at", "version", "offset")
    assert sum(posts[c].null_count() for c in needed) == 0
    assert (posts["event_time"] <= RECEIVED).all()


def test_the_network_is_the_records_own_or_the_formats(name):
    given_ = formats.get(name).decode(records(GOOD[name], format=name, source="elsewhere"))
    own = formats.get(name).decode(records(GOOD[name], format=name))

    if name != "earshot":
        assert set(given_.posts["source"]) == {"elsewhere"}
        assert set(own.posts["source"]) == {formats.get(name).SOURCE}


@pytest.mark.parametrize("bad", BAD, ids=lambda b: repr(b[:12]))
def test_a_bad_record_is_quarantined_with_a_reason_and_takes_no_other_with_it(name, bad):
    good = GOOD[name]
    batch = records(good, bad, bad, good, format=name)

    decoded = formats.get(name).decode(batch)

    alone = formats.get(name).decode(records(good, format=name)).outcome["class"][0]
    assert decoded.outcome["class"].to_list() == [alone, "quarantined", "quarantined", alone]
    assert all(decoded.outcome["reason"][1:3])


def test_two_objects_in_one_record_are_none(name):
    good = GOOD[name]
    smuggled = [good + b"," + good, good + b"\n" + good, good + b',"x":' + good, good[:-1]]
    batch = records(good, *smuggled, good, format=name)

    classes = formats.get(name).decode(batch).outcome["class"].to_list()

    assert classes[1:-1] == ["quarantined"] * len(smuggled)
    assert classes[0] == classes[-1] != "quarantined"


def test_records_that_lean_on_each_other_fall_alone(name):
    good = GOOD[name]
    trio = [b"{},[{}", b'{"a":[{}', b"{}]}"]
    batch = records(good, *trio, good, format=name)

    classes = formats.get(name).decode(batch).outcome["class"].to_list()

    assert classes[1:-1] == ["quarantined"] * 3
    assert classes[0] == classes[-1] != "quarantined"


def test_a_line_of_ten_megabytes_is_one_record_like_any_other(name):
    item = dict(ITEMS[name][0])
    item["padding"] = "x" * 10_000_000
    batch = records(GOOD[name], item, GOOD[name], format=name)

    classes = formats.get(name).decode(batch).outcome["class"].to_list()

    assert len(set(classes)) == 1
    assert classes[0] != "quarantined"


def test_a_record_is_detected_as_its_own_format(name):
    if name == "csv":
        assert formats.detect(b"id,text,created_at\n1,hi,2026-01-01\n") == "csv"
        return
    assert formats.detect(GOOD[name]) == name
    assert formats.detect(GOOD[name] + b"\n" + GOOD[name] + b"\n") == name


def test_split_gives_back_what_is_an_item_already(name):
    if name == "csv":
        return
    lines = b"\n".join(RAWS[name][:3]) + b"\n\n"
    split = formats.get(name).split

    assert [i for raw in RAWS[name][:3] for i in split(raw)] == list(split(lines))
    assert list(split(b"")) == list(split(b"\n \n")) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# Title\n\nWords, and more words: yes.\n",
        b'{"openapi": "3.0.0", "info": {"title": "X", "version": "2"}, "paths": {}}',
        b'{"captured_at": "2026-07-04", "frames": 150, "creates": 144}',
        b'{"did:plc:x": {"id": "did:plc:x", "alsoKnownAs": []}}',
        b"\x00\x01\xa2\x62op",
        b"a,b\n1,2\n",
        b"[]",
        b"| file | text |\n|---|---|\n",
    ],
)
def test_what_holds_no_payloads_has_no_format(text):
    assert formats.detect(text) is None


@st.composite
def mutated(draw):
    """A valid record of any format with some bytes changed, as `(format, raw)`."""
    name = draw(st.sampled_from(sorted(RAWS)))
    raw = draw(st.sampled_from(RAWS[name]))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, max(len(raw), 1) - 1))
        length = draw(st.integers(0, 6))
        bits = st.sampled_from([b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud800",
                                b"\\u0000", b"\xff", b"null", b"1e400", b"-1", b"{}", b"\n"])  # fmt: skip
        raw = raw[:at] + draw(bits | st.binary(max_size=4)) + raw[at + length :]
    return name, raw


@settings(max_examples=60, deadline=None)
@given(st.lists(mutated(), min_size=1, max_size=6))
def test_a_record_means_the_same_in_any_company(some):
    batch = pl.concat([records(raw, format=name) for name, raw in some])

    together = formats.decode(batch)

    assert together.outcome["record"].to_list() == list(range(len(some)))
    for whole, alone in zip(every(together), one_by_one(batch), strict=True):
        assert_frame_equal(whole, alone)


def test_an_unknown_format_is_quarantined_and_the_rest_of_the_batch_is_not():
    batch = pl.concat(
        [
            records(GOOD["meetup"], format="meetup"),
            records(b"{}", format="nope"),
            records(GOOD["reddit"], format="reddit"),
            records(GOOD["meetup"], format="meetup"),
        ]
    )

    decoded = formats.decode(batch)

    assert decoded.outcome["class"].to_list() == ["create", "quarantined", "create", "create"]
    assert "unknown format 'nope'" in decoded.outcome["reason"][1]
    assert decoded.posts["record"].to_list() == [0, 2, 3]
    assert decoded.posts["source"].to_list() == ["meetup", "reddit", "meetup"]


def test_posts_are_in_the_order_of_their_records_also_where_all_are_of_one_format():
    tweet = ITEMS["x_v1"][0]
    repost = tweet | {"id_str": "7", "id": 7, "retweeted_status": tweet}

    posts = formats.decode(records(repost, tweet, repost, format="x_v1")).posts

    assert posts["record"].to_list() == [0, 0, 1, 2, 2]
    assert posts["role"].to_list() == ["create", "embedded", "create", "create", "embedded"]


def test_asking_for_an_unknown_format_names_the_known():
    with pytest.raises(formats.UnknownSchemeError, match="jetstream"):
        formats.get("jetstrem")
