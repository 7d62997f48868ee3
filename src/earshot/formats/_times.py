"""Times as networks write them, in columns. What does not parse, or is no date, is null."""

from typing import Final

import polars as pl

from earshot.model.schema import TIME

_LEAST: Final = -62_135_596_800_000_000
_GREATEST: Final = 253_402_300_799_999_999
"""0001-01-01 and 9999-12-31 in µs: beyond, a number is no date."""


def micros(value: pl.Expr) -> pl.Expr:
    """The moment `value` (Int64) microseconds after 1970-01-01 UTC."""
    return pl.when(value.is_between(_LEAST, _GREATEST)).then(value).cast(TIME)


def millis(value: pl.Expr) -> pl.Expr:
    """The moment `value` (Int64, or text of it) milliseconds after 1970-01-01 UTC."""
    whole = value.cast(pl.Int64, strict=False)
    inside = whole.is_between(_LEAST // 1000, _GREATEST // 1000)
    return (pl.when(inside).then(whole) * 1000).cast(TIME)


def seconds(value: pl.Expr) -> pl.Expr:
    """The moment `value` (a number, or text of it; fractions count) seconds after 1970-01-01."""
    exact = value.cast(pl.Float64, strict=False)
    inside = exact.is_between(_LEAST / 1e6, _GREATEST / 1e6 - 1)
    return (pl.when(inside).then(exact) * 1e6).round().cast(pl.Int64).cast(TIME)


def sane(moment: pl.Expr) -> pl.Expr:
    """`moment` where its year has four digits, else null: nothing downstream can show others."""
    return pl.when(moment.to_physical().is_between(_LEAST, _GREATEST)).then(moment)


def tweet_time(text: pl.Expr) -> pl.Expr:
    """`Wed Aug 27 13:08:45 +0000 2008`, as X API v1.1 writes times."""
    return text.str.to_datetime(
        "%a %b %d %H:%M:%S %z %Y", time_unit="us", time_zone="UTC", strict=False
    )


def iso(text: pl.Series) -> pl.Series:
    """RFC 3339 and its cousins: any offset, a space for the T, no zone (UTC), a date alone."""
    usual = text.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC", strict=False
    )
    if usual.null_count() == text.null_count():
        return usual
    odd = (usual.is_null() & text.is_not_null()).arg_true()
    return usual.scatter(odd, _odd(text.gather(odd)))


def _odd(text: pl.Series) -> pl.Series:
    """The same for the few texts that are not written in the usual way."""
    written = (
        pl.col("text")
        .str.strip_chars()
        .str.to_uppercase()
        .str.replace(r"^(\d{4}-\d\d-\d\d)$", "${1}T00:00:00")
        .str.replace(r"^(\S+) (\d)", "${1}T${2}")
        .str.replace(r"(T\d\d:\d\d)($|[^:\d])", "${1}:00${2}")
        .str.replace(r" ?(?:Z|UTC|GMT)$", "+00:00")
        .str.replace(r"(T[^+-]*)$", "${1}+00:00")
        .str.replace(r"(\.\d{9})\d+", "${1}")
    )
    return pl.DataFrame({"text": text}).select(
        written.str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False
        )
    )["text"]
