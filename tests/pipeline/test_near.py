"""Near-duplicate families: bands of texts, and what they connect."""

from itertools import islice

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.world import NOON

from earshot.formats import decode
from earshot.model.document import document
from earshot.model.schema import RECORD
from earshot.model.tokens import TAGWORD, tokenize
from earshot.pipeline import near

LONG = "the old bridge over the river will be closed for repairs until the end of next week"
PINNED = "6e54a5fb773b038f97b1f0531b5cdb9e9d98f9e9bba1ac148a78c24a70745bf2c5d36a58c5e5dffa"


def bands_of(*texts, without=None):
    frame = pl.Series(list(texts), dtype=pl.String)
    without = pl.Series(without or [False] * len(texts))
    return near.bands(tokenize(frame, index=False), without).to_list()


def share(*texts):
    one, other = (np.frombuffer(b, np.uint8).reshape(-1, near.BYTES) for b in bands_of(*texts))
    return bool((one == other).all(axis=1).any())


def rows_of(texts):
    return np.frombuffer(b"".join(bands_of(*texts)), np.uint8).reshape(-1, near.BAND_BYTES)


@pytest.mark.parametrize(
    "other",
    [
        LONG.upper(),
        f"@ada {LONG} https://example.org/1",
        LONG + "!!!",
        LONG + " folks",
        LONG.replace("old", "new"),
    ],
    ids=["case", "mention and link", "marks", "one more word", "another word"],
)
def test_a_lightly_changed_text_shares_a_band(other):
    assert share(LONG, other)


@pytest.mark.parametrize(
    "other",
    [
        " ".join(reversed(LONG.split())),
        "the old mill by the river was sold at the end of last year to a family from abroad",
    ],
    ids=["words in another order", "another sentence"],
)
def test_another_text_shares_none(other):
    assert not share(LONG, other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "good morning",
        "@ada @bob @cleo @dan @eve @fay",
        "https://a.example/1",
        "ha " * 40,
        "😂" * 9,
    ],
    ids=["nothing", "two words", "mentions", "a link", "one word again and again", "one emoji"],
)
def test_a_text_that_says_too_little_has_no_bands(text):
    assert bands_of(text) == [b""]


def test_a_repost_has_no_bands_and_others_keep_theirs():
    assert bands_of(LONG, LONG, LONG, without=[False, True, False])[1] == b""
    assert bands_of(LONG, LONG, without=[False, True])[0] == bands_of(LONG)[0] != b""


def test_bands_are_the_same_for_ever():
    """They are stored: another value here needs another NEAR_VERSION."""
    assert near.NEAR_VERSION == 65793
    assert bands_of(LONG)[0].hex() == PINNED


@given(st.lists(st.text(alphabet="ab あ#@ ", max_size=40), min_size=1, max_size=8), st.data())
def test_the_bands_of_a_post_do_not_depend_on_its_neighbours(texts, data):
    cut = data.draw(st.integers(0, len(texts)))
    parts = (bands_of(*texts[:cut]) if cut else []) + (
        bands_of(*texts[cut:]) if texts[cut:] else []
    )
    assert bands_of(*texts) == parts


def brute_force(data):
    """Families by the definition, one pair after the other."""
    values = data.reshape(len(data), near.BANDS, near.BYTES)
    first = list(range(len(data)))
    for band in range(near.BANDS):
        groups = {}
        for row in range(len(data)):
            groups.setdefault(values[row, band].tobytes(), []).append(row)
        for group in groups.values():
            if len(group) <= near.CROWD:
                least = {first[row] for row in group}
                first = [min(least) if f in least else f for f in first]
    return first


@given(st.lists(st.lists(st.integers(0, 5), min_size=8, max_size=8), max_size=12))
def test_families_are_what_shared_bands_connect(numbers):
    data = np.zeros((len(numbers), near.BANDS, near.BYTES), np.uint8)
    data[:, :, 0] = np.array(numbers).reshape(-1, near.BANDS)
    data = data.reshape(-1, near.BAND_BYTES)
    assert near.components(data).tolist() == brute_force(data)


@given(st.permutations(range(10)))
def test_families_do_not_depend_on_the_order(order):
    texts = [
        LONG,
        LONG + " folks",
        "so " + LONG,
        *(f"{n} {n}a {n}b {n}c {n}d {n}e" for n in "uvwxyz"),
    ]
    texts.append("dear all, " + LONG)
    data = rows_of(texts)
    of = near.components(data)
    expected = {frozenset(np.flatnonzero(of == f).tolist()) for f in set(of.tolist())}
    shuffled = near.components(data[list(order)])
    found = {
        frozenset(order[row] for row in np.flatnonzero(shuffled == f))
        for f in set(shuffled.tolist())
    }
    assert found == expected
    assert frozenset({0, 1, 2, 9}) in expected


@pytest.mark.parametrize(("many", "families"), [(near.CROWD, 1), (near.CROWD + 1, near.CROWD + 1)])
def test_a_band_of_too_many_posts_connects_nothing(many, families):
    data = np.repeat(rows_of([LONG]), many, axis=0)
    assert len(set(near.components(data).tolist())) == families


def test_links_between_real_posts_join_texts_that_are_alike(shared_data):
    with (shared_data / "x_v1_stream" / "stream.jsonl").open("rb") as lines:
        raws = [line for line in islice(lines, 5000) if line.strip()]
    rows = [(n, "x", "t", "x_v1", NOON, "", "", raw) for n, raw in enumerate(raws)]
    posts = decode(pl.DataFrame(rows, RECORD, orient="row")).posts
    posts = posts.unique("id", keep="first", maintain_order=True)
    tokens = tokenize(document(posts), index=False)
    bands = near.bands(tokens, (posts["kind"] == "repost").fill_null(value=False))
    chosen = np.flatnonzero(bands.bin.size().to_numpy() > 0)
    data = np.frombuffer(b"".join(bands.to_list()), np.uint8).reshape(-1, near.BAND_BYTES)
    first = near.components(data)

    def words(row):
        mine = slice(tokens.ends[chosen[row]], tokens.ends[chosen[row] + 1])
        return set(tokens.hash[mine][tokens.kind[mine] < TAGWORD].tolist())

    pairs = [(words(f), words(row)) for row, f in enumerate(first.tolist()) if f != row]
    alike = [len(a & b) / len(a | b) for a, b in pairs]
    assert len(pairs) >= 20
    assert np.mean([s >= 0.5 for s in alike]) >= 0.9
