import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from earshot.model.hashing import buffers, hash_strings, hash_text, hexadecimal, key_hash, strings


def slow_hash(text):
    """The recipe of the docstring, in plain integers."""
    wide = (1 << 64) - 1
    h = 0x1234567890ABCDEF
    for byte in text.encode():
        h = (h ^ byte) * 0x9E3779B97F4A7C15 & wide
        h ^= h >> 29
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 & wide
    h = (h ^ h >> 27) * 0x94D049BB133111EB & wide
    return (h ^ h >> 31) or 1


def test_the_hash_never_changes():
    assert hash_text("") == 15553176171606638172
    assert hash_text("a") == 9925767995181507553
    assert hash_text("héllo") == 422761427066791462


@given(st.lists(st.one_of(st.none(), st.text(max_size=20))), st.integers(0, 3))
def test_a_series_hashes_like_its_texts(texts, skip):
    series = pl.Series(texts, dtype=pl.String)[skip:]

    assert hash_strings(series).tolist() == [0 if t is None else slow_hash(t) for t in texts[skip:]]


@given(st.text(max_size=20))
def test_one_text_hashes_like_a_series(text):
    assert hash_text(text) == slow_hash(text)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=9))))
def test_a_key_hashes_as_its_parts_with_a_separator(keys):
    source, id_ = (pl.Series([k[i] for k in keys], dtype=pl.String) for i in (0, 1))

    assert key_hash(source, id_).tolist() == [slow_hash(f"{s}\x1f{i}") for s, i in keys]


@given(st.lists(st.text(max_size=9)), st.lists(st.text(max_size=9)))
def test_buffers_and_strings_undo_each_other(head, tail):
    series = pl.Series(head + tail, dtype=pl.String)[len(head) :]
    offsets, data = buffers(series)

    assert strings(offsets, data).to_list() == tail


def test_hexadecimal_has_sixteen_digits():
    hashes = hash_strings(pl.Series(["a", None]))

    assert hexadecimal(hashes).to_list() == [f"{hash_text('a'):016x}", "0" * 16]
