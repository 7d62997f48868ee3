"""Bytes of windows: versioned, checked, small, and readable in part."""

import datetime as dt
import pickle

import polars as pl
import pytest

from earshot.errors import FormatError
from earshot.model.schema import STORED
from earshot.pipeline.codec import VERSION, decode, encode
from earshot.pipeline.score import Weights
from earshot.pipeline.top import top
from earshot.pipeline.window import unobserved, window


def blobs(posts=40, authors=7):
    frame = pl.DataFrame(
        {
            "source": ["x"] * posts,
            "id": [str(i) for i in range(posts)],
            "text": [f"tram number{i % 9} to the harbour" for i in range(posts)],
            "lang": ["en"] * posts,
            "author_id": [f"person {i % authors}" for i in range(posts)],
            "event_time": [dt.datetime(2026, 3, 1, tzinfo=dt.UTC)] * posts,
            "consumed": [True] * posts,
            "hidden": [False] * posts,
            "copy": [False] * posts,
            "rules": [[]] * posts,
        },
        schema_overrides={"event_time": STORED["event_time"], "rules": pl.List(pl.Int64)},
    )
    empty = pl.DataFrame(schema={**STORED, "rules": pl.List(pl.Int64)})
    frame = pl.concat([empty, frame], how="diagonal")
    return encode(window(frame, unobserved(frame), Weights()).blocks)


def test_one_facet_is_read_without_the_others():
    part = decode(blobs(), facet="word")
    assert set(part.facet[part.value].tolist()) == {2}
    assert top(part, "word").equals(top(decode(blobs()), "word"))
    assert top(part, "author").is_empty()


def test_an_empty_blob_is_an_empty_window():
    assert decode([b"", *blobs(), b""]).row_end.tolist()[:2] == [0, 0]
    assert decode([]).windows == 0


@pytest.mark.parametrize("n", [1, 40, 3000])
def test_a_blob_stays_small(n):
    assert len(blobs(n, authors=50)[0]) < 300 + 20 * n


def test_another_version_is_refused_with_a_remedy():
    with pytest.raises(FormatError, match=f"this program reads {VERSION}") as raised:
        decode([bytes([VERSION + 1]) + blobs()[0][1:]])
    assert raised.value.hint
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


@pytest.mark.parametrize(("posts", "codec"), [(1, 0), (400, 1)])
@pytest.mark.parametrize("left", [3, 20, 60, -1])
def test_a_damaged_blob_is_refused(posts, codec, left):
    blob = blobs(posts, authors=400)[0]
    assert blob[1] == codec
    with pytest.raises(FormatError, match="damaged"):
        decode([*blobs(), blob[:left]])
