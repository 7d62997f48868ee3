"""Pages of small windows: what was written is read, whole, one rule of it, or one facet."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from earshot.errors import FormatError
from earshot.model.schema import FACETS, STORED
from earshot.pipeline.page import VERSION, decode_pages, encode_pages, page_of
from earshot.pipeline.score import Weights
from earshot.pipeline.sketch import EXACT
from earshot.pipeline.top import rows
from earshot.pipeline.window import Windows, unobserved, window

AT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def counted(posts, authors=7, rules=(3, 67, 130)):
    """Windows of one minute: rule 0 and three that share no posts but words."""
    frame = pl.DataFrame(
        {
            "source": ["x"] * posts,
            "id": [str(i) for i in range(posts)],
            "text": [f"tram number{i % 9} to the harbour" for i in range(posts)],
            "lang": ["en"] * posts,
            "author_id": [f"person {i % authors}" for i in range(posts)],
            "event_time": [AT] * posts,
            "consumed": [True] * posts,
            "hidden": [False] * posts,
            "copy": [i % 5 == 0 for i in range(posts)],
            "rules": [[rules[i % len(rules)]] for i in range(posts)],
        },
        schema_overrides={"event_time": STORED["event_time"], "rules": pl.List(pl.Int64)},
    )
    empty = pl.DataFrame(schema={**STORED, "rules": pl.List(pl.Int64)})
    frame = pl.concat([empty, frame], how="diagonal")
    return window(frame, unobserved(frame), Weights())


def pages(windows):
    """Rule 0 and the first rule on one page, the others on another."""
    many = windows.keys.height
    rules = windows.keys["rule"].to_numpy()
    return encode_pages(windows.blocks, rules, np.arange(many), np.array([0, 2, many]))


def shown(windows, variant="all"):
    return rows(windows, width=60, variant=variant).drop("source")


@pytest.mark.parametrize(("posts", "authors"), [(3, 1), (90, 7), (5000, 4000)])
def test_what_was_written_is_read(posts, authors):
    windows = counted(posts, authors)
    blocks, rules, many = decode_pages(pages(windows))
    assert many.tolist() == [2, windows.keys.height - 2]
    assert rules.tolist() == windows.keys["rule"].to_list()
    assert (blocks.sketch >= 0).any() == (authors > EXACT)
    for variant in ("all", "once"):
        assert shown(Windows(windows.keys, blocks), variant).equals(shown(windows, variant))


@pytest.mark.parametrize("facet", FACETS[:12])
@pytest.mark.parametrize("rule", [0, 3, 67, 130, 5])
def test_one_rule_and_one_facet_are_read_without_the_others(rule, facet):
    windows = counted(90)
    blocks, rules, many = decode_pages(pages(windows), rule=rule, facet=facet)
    keys = windows.keys.filter(pl.col("rule") == rule)
    assert (rules.tolist(), many.sum()) == (keys["rule"].to_list(), keys.height)
    wanted = shown(windows).filter(pl.col("rule") == rule, pl.col("facet") == facet)
    assert shown(Windows(keys, blocks)).equals(wanted)
    assert wanted.height or facet not in {"word", "author", "total"} or rule == 5


def test_rules_share_pages_that_no_rule_is_called():
    assert page_of(3) == page_of(67) != page_of(4)
    assert {page_of(rule) for rule in range(1, 1000)} == set(range(-64, 0))


def test_a_page_is_smaller_than_its_windows():
    windows = counted(3000, 50)
    rules = windows.keys["rule"].to_numpy()
    one = encode_pages(windows.blocks, rules, np.array([1, 2, 3]), np.array([0, 3]))
    each = encode_pages(windows.blocks, rules, np.array([1, 2, 3]), np.arange(4))
    assert len(one[0]) < sum(len(blob) for blob in each)


def test_another_version_is_refused_with_a_remedy():
    with pytest.raises(FormatError, match=f"this program reads {VERSION}") as raised:
        decode_pages([bytes([VERSION - 1]) + pages(counted(3))[0][1:]])
    assert raised.value.hint


@pytest.mark.parametrize(("posts", "codec"), [(1, 0), (400, 1)])
@pytest.mark.parametrize("left", [3, 20, 60, -1])
def test_a_damaged_page_is_refused(posts, codec, left):
    page = encode_pages(
        counted(posts, 400).blocks, np.array([0, 3, 67, 130]), np.array([0]), np.array([0, 1])
    )[0]
    assert page[1] == codec
    with pytest.raises(FormatError, match="damaged"):
        decode_pages([*pages(counted(9)), page[:left]])
