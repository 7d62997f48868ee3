"""Links, times, texts and languages, as all formats write them."""

# ruff: noqa: E501 - one case a line

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.formats import _links, _text, _times
from earshot.formats._frames import nested


def one(expression, value, dtype=pl.String):
    return pl.DataFrame({"v": [value]}, schema={"v": dtype}).select(expression(pl.col("v"))).item()


@pytest.mark.parametrize(
    ("url", "canonical", "domain"),
    [
        ("HTTPS://WWW.Example.com/Path?utm_source=a&id=2#f", "https://www.example.com/Path?id=2", "example.com"),
        ("http://x.test/?a=1&UTM_medium=2&b=3", "http://x.test/?a=1&b=3", "x.test"),
        ("https://a.test/?fbclid=1", "https://a.test/", "a.test"),
        ("https://a.test?x=utm_source=2", "https://a.test?x=utm_source=2", "a.test"),
        ("example.com/x", "example.com/x", "example.com"),
        ("http://u:p@h.test:80/#", "http://u:p@h.test:80/", "h.test"),
        ("http://localhost:3000/a", "http://localhost:3000/a", "localhost"),
        ("not a link", "not a link", None),
        (" https://a.test/\n", "https://a.test/", "a.test"),
    ],
)  # fmt: skip
def test_links_are_made_comparable(url, canonical, domain):
    link = _links.links(pl.Series([url]))[0]

    assert (link["url"], link["canonical"], link["domain"]) == (url, canonical, domain)


def test_the_expanded_link_is_the_one_that_counts():
    link = _links.links(pl.Series(["https://t.test/1"]), pl.Series(["https://Real.test/"]))[0]

    assert (link["url"], link["expanded"], link["domain"]) == ("https://t.test/1", "https://Real.test/", "real.test")  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("aZ0./:?&=#@ wü", max_size=30)))
def test_a_canonical_link_is_its_own(urls):
    once = _links.canonical(pl.Series(urls, dtype=pl.String))

    assert _links.canonical(once).equals(once)
    assert not once.str.contains("#", literal=True).any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-04T14:38:08.999Z", (14, 38, 8, 999000)),
        ("2026-07-04T14:38:02+00:00", (14, 38, 2, 0)),
        ("2026-07-04T14:38:02.1234567891234Z", (14, 38, 2, 123456)),
        ("2026-07-04 14:38:02", (14, 38, 2, 0)),
        ("2026-07-04 14:38:02 UTC", (14, 38, 2, 0)),
        ("2026-07-04T14:38", (14, 38, 0, 0)),
        ("2026-07-04T14:38:02+05:30", (9, 8, 2, 0)),
        ("2026-07-04T14:38:02-0300", (17, 38, 2, 0)),
        ("2026-07-04", (0, 0, 0, 0)),
    ],
)
def test_dates_are_read_in_all_their_dresses(text, expected):
    hour, minute, second, micro = expected
    moment = dt.datetime(2026, 7, 4, hour, minute, second, micro, tzinfo=dt.UTC)

    assert _times.iso(pl.Series([text])).to_list() == [moment]


@pytest.mark.parametrize("text", ["", "x", "2026-13-01", "now", "99999-01-01T00:00:00Z", None])
def test_what_is_no_date_is_null(text):
    assert _times.iso(pl.Series([text], dtype=pl.String)).to_list() == [None]
    assert one(_times.tweet_time, text) is None
    assert one(_times.seconds, text) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_dates_only_where_people_can_read_them(number):
    for read in (_times.micros, _times.millis, _times.seconds):
        moment = one(read, number, pl.Int64)
        assert moment is None or 1 <= moment.year <= 9999


def test_tweet_times_and_numbers_of_seconds():
    moment = dt.datetime(2008, 8, 27, 13, 8, 45, tzinfo=dt.UTC)

    assert one(_times.tweet_time, "Wed Aug 27 13:08:45 +0000 2008") == moment
    assert one(_times.seconds, "1219842525.25") == moment + dt.timedelta(milliseconds=250)
    assert one(_times.millis, "1219842525000") == moment


def test_html_becomes_text():
    html = '<p>Hi &amp;lt; <a href="x">@<span>bob</span></a><br/>yo</p><p>&quot;q&quot;&#39;s</p>'

    assert one(_text.plain, html) == 'Hi &lt; @bob\nyo\n"q"\'s'
    assert one(_text.unescape, "&amp;amp; &lt;b&gt; &quot;") == "&amp; <b> &quot;"
    assert one(_text.anchor, '<a href="x">A &amp; B</a>') == "A & B"


@pytest.mark.parametrize(
    ("tag", "code"),
    [("en-US", "en"), ("PT", "pt"), ("zh_Hans", "zh"), ("in", "id"), ("und", "und"), ("", None), ("?", None)],
)  # fmt: skip
def test_languages_are_primary_tags(tag, code):
    assert one(_text.language, tag) == code


def test_countries_are_two_capitals():
    assert [one(_text.country, c) for c in ("de", "US", "Germany", "")] == ["DE", "US", None, None]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=6))
def test_nested_lists_are_those_that_were_flat(lists):
    rows = pl.Series([i for i, values in enumerate(lists) for _ in values], dtype=pl.UInt32)
    values = pl.Series("v", [v for some in lists for v in some], dtype=pl.Int64)

    assert nested(rows, values, len(lists)).to_list() == lists
