"""Jetstream's wires by themselves: frames, positions, waits."""

import datetime as dt
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulators.jetstream_log import Packer, error_frame, info_frame, v1_frame, v2_frame
from tests.simulators.jetstream_world import People

from earshot.errors import UsageError
from earshot.sources._backoff import Backoff
from earshot.sources._jetstream import Dictionary, LineError, Position, Wanted, read

US = 1_790_000_000_123_456


def frames(n, version=2):
    people = People(seed=11)
    made = [(k, next(people)) for k in range(1, n + 1)]
    return [v2_frame(k, US + k, w) if version == 2 else v1_frame(US + k, w) for k, w in made]


def test_v2_events_keep_their_bytes_number_and_microsecond():
    batch = read(frames(100), 2)
    assert [e.seq for e in batch.events] == list(range(1, 101))
    assert [e.us for e in batch.events] == [US + n for n in range(1, 101)]
    sent = [json.loads(f)["payload"] for f in frames(100)]
    assert [json.loads(e.raw) for e in batch.events] == sent
    assert not batch.bad


def test_v1_events_are_whole_frames_and_their_time_is_time_us():
    sent = [f for f in frames(100, 1) if f]
    batch = read(sent, 1)
    assert [e.raw for e in batch.events] == sent
    assert [e.us for e in batch.events] == [json.loads(f)["time_us"] for f in sent]
    assert {e.seq for e in batch.events} == {None}


def test_the_display_time_stands_in_where_a_server_says_no_witness_time():
    frame = json.loads(frames(1)[0])
    del frame["payload"]["witnessedAt"]
    [event] = read([json.dumps(frame).encode()], 2).events
    assert event.us == US + 1
    assert event.at == dt.datetime.fromisoformat(frame["payload"]["time"])


def test_an_error_ends_the_batch_after_what_came_before_it():
    one, two = frames(2)
    batch = read([one, error_frame("ConsumerTooSlow", "hurry"), two], 2)
    assert len(batch.events) == 1
    assert batch.fault
    assert batch.fault.name == "ConsumerTooSlow"
    assert str(batch.fault) == "ConsumerTooSlow: hurry"


def test_a_notice_is_no_event():
    batch = read([info_frame("OutdatedCursor", "resumed from seq 9")], 2)
    assert batch.notices == ["OutdatedCursor"]
    assert not batch.events


@pytest.mark.parametrize("version", [1, 2])
@given(junk=st.binary(max_size=60))
def test_whatever_is_sent_is_an_event_a_notice_or_bad_but_never_raises(version, junk):
    batch = read([junk, b"[]", b'{"$type":3}', b"\xff"], version)
    assert len(batch.events) + len(batch.bad) + len(batch.notices) + bool(batch.fault) >= 1
    assert all(reason for _, reason in batch.bad)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": -4},
        {"seq": 10**30},
        {"seq": "7"},
        {"witnessedAt": None, "time": None},
        {"witnessedAt": "2026-01-01T00:00:00"},
        {"did": 5},
    ],
)
def test_an_event_that_cannot_be_gone_on_from_is_bad_alone(change):
    good, other = frames(2)
    frame = json.loads(other)
    frame["payload"] |= change
    batch = read([json.dumps(frame).encode(), good], 2)
    assert len(batch.events) == len(batch.bad) == 1


@given(
    st.builds(
        Position,
        us=st.integers(0, 2 * 10**17),
        host=st.text(max_size=20),
        seq=st.none() | st.integers(0, 10**15 - 1),
        did=st.text(max_size=20),
    )
)
def test_a_position_survives_being_a_cursor(position):
    assert Position.parse(position.cursor()) == position


@pytest.mark.parametrize("text", ["", "9", "{}", '{"us":"x"}', "\ud800"])
def test_a_text_that_is_no_cursor_is_refused(text):
    with pytest.raises(UsageError, match="not one of this source"):
        Position.parse(text)


def test_a_packed_frame_is_unpacked_with_its_dictionary_only():
    packer = Packer(3, version=2)
    [frame] = frames(1)
    dictionary = Dictionary(packer.blob)
    assert dictionary.id == 3
    assert dictionary.unpack(packer.pack(frame)) == frame
    assert dictionary.unpack(frame) == frame
    assert len(packer.pack(frame)) < len(frame) / 2
    with pytest.raises(LineError, match="dictionary 4"):
        Dictionary(Packer(4, version=2).blob).unpack(packer.pack(frame))


@pytest.mark.parametrize("blob", [b"", b"1234567", b"<html>not found</html>"])
def test_bytes_that_are_no_dictionary_are_refused(blob):
    with pytest.raises(ValueError, match="not a zstd dictionary"):
        Dictionary(blob)


def test_both_wires_are_asked_in_their_own_words():
    wanted = Wanted(interactions=False, dids=("did:web:a.example",))
    assert wanted.url("wss://h/", 2, 5, 7) == (
        "wss://h/xrpc/network.bsky.jetstream.subscribeEvents?collections=app.bsky.feed.post"
        "&dids=did%3Aweb%3Aa.example&cursor=5&zstdDictionary=7"
    )
    assert wanted.url("wss://h", 1, None, 7) == (
        "wss://h/subscribe?wantedCollections=app.bsky.feed.post"
        "&wantedDids=did%3Aweb%3Aa.example&compress=true"
    )


@given(
    st.integers(0, 2**32),
    st.floats(0.01, 5),
    st.floats(5, 300),
    st.lists(st.floats(0, 600), max_size=40),
)
def test_waits_grow_to_the_cap_with_jitter_and_never_below_what_was_asked(seed, base, cap, asked):
    backoff = Backoff(base, cap, random.Random(seed))
    for n, least in enumerate(asked):
        wait = backoff.next(least)
        whole = min(cap, base * 2**n)
        assert max(least, whole / 2) <= wait <= max(least, whole)
    backoff.reset()
    assert backoff.next() <= base
