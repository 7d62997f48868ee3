"""Posts as files: CSV, JSON lines, Parquet, or keys only; row after row, without a cap.

One post a line (or row) in the order of the schema, `source` and `id` first; then what was found
of it: whether it is a copy, its near-duplicate family, and `rules` last. How the posts were found
goes with them: as comment lines of CSV, as metadata of Parquet.
"""

import datetime as dt
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final

import msgspec
import polars as pl
import pyarrow.parquet as pq

import earshot
from earshot.engine.query import Scope, export_rows
from earshot.model.changes import KEY
from earshot.model.rule import RuleVersion
from earshot.model.schema import GAP, POST, STORED, empty
from earshot.model.tokens import TOKEN_VERSION
from earshot.store import Store

FORMATS: Final = ("csv", "jsonl", "parquet", "ids")
FAMILY: Final = ("family_source", "family_id", "family_size")
"""Key of the first post of a post's near-duplicate family, and how many they are."""
CHUNK: Final = 1 << 20
FORMULA: Final = r"^[=+\-@\t\r]"
"""A cell that begins so would be run by a spreadsheet: an apostrophe goes before it."""
_ISO: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"
_SCHEMA: Final = pl.Schema(
    {
        **POST,
        "copy": STORED["copy"],
        **dict(zip(FAMILY, (pl.String(), pl.String(), pl.Int64()), strict=True)),
        "rules": pl.List(pl.Int64()),
    }
)
COLUMNS: Final = tuple(_SCHEMA)


def write_posts(  # noqa: PLR0913 - what, where to, and how it is told
    store: Store,
    to: IO[bytes],
    form: str,
    expression: str | None = None,
    *,
    scope: Scope | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write all posts that an expression finds to `to`; returns how many.

    Args:
        store: Open to read.
        to: A binary file.
        form: One of FORMATS.
        expression: In the rule language; None: every post.
        scope: Further conditions.
        provenance: What `provenance_of` gave; None: the posts alone.
        on_progress: Told how many are written so far.

    Raises:
        RuleSyntaxError: The expression cannot be read; nothing was written.
    """
    written = 0

    def counted() -> Iterator[pl.DataFrame]:
        nonlocal written
        for frame in frames:
            yield frame
            written += frame.height
            if on_progress:
                on_progress(written)

    frames = export_rows(store, expression or "", scope=scope)
    for data in encoded(store, counted(), form, provenance):
        to.write(data)
    return written


def encoded(
    store: Store,
    frames: Iterable[pl.DataFrame],
    form: str,
    provenance: Mapping[str, Any] | None = None,
) -> Iterator[bytes]:
    """Frames of STORED + `rules` of a store as the bytes of one file, piece by piece."""
    shaped = (_with_families(store, f).select(COLUMNS) for f in frames)
    match form:
        case "csv":
            return _csv(shaped, provenance)
        case "jsonl":
            return (_iso(f).write_ndjson().encode() for f in shaped)
        case "ids":
            return (
                f.select("source", "id").write_csv(separator="\t", include_header=False).encode()
                for f in frames
            )
        case _:
            return _parquet(shaped, provenance)


def _with_families(store: Store, posts: pl.DataFrame) -> pl.DataFrame:
    names = dict(zip(("first_source", "first_id", "size"), FAMILY, strict=True))
    families = store.families(posts).rename(names)
    return posts.join(families, on=KEY.names(), how="left", maintain_order="left")


def provenance_of(
    store: Store,
    expression: str,
    scope: Scope,
    *,
    rules: Iterable[RuleVersion],
    at: dt.datetime,
) -> dict[str, Any]:
    """How an export was found: what somebody needs to judge it, or to make it again.

    Args:
        store: The one exported from.
        expression: In the rule language.
        scope: Further conditions.
        rules: The rules of `scope`, as they are.
        at: Now.
    """
    gaps = store.gaps(scope.span)
    if scope.sources:
        gaps = gaps.filter(pl.col("source").is_in(list(scope.sources)))
    return {
        "earshot": earshot.__version__,
        "exported_at": _text(at),
        "expression": expression,
        "since": _text(scope.span.since),
        "until": _text(scope.span.until),
        "sources": list(scope.sources),
        "languages": list(scope.langs),
        "variant": scope.variant,
        "rules": [
            {"id": r.rule, "name": r.name, "version": r.version, "text": r.text} for r in rules
        ],
        "token_version": TOKEN_VERSION,
        "counters": "as last seen at counters_at",
        "kept_since": _text(_oldest(store)),
        "as_of": "{0}.{2}".format(*store.feed()),
        "gaps": _iso(gaps.select(GAP.names())).to_dicts(),
    }


def _oldest(store: Store) -> dt.datetime | None:
    bounds = store.bounds()
    return bounds[0] if bounds else None


def _csv(frames: Iterator[pl.DataFrame], provenance: Mapping[str, Any] | None) -> Iterator[bytes]:
    if provenance is not None:
        yield _comments(provenance).encode()
    yield _flat(empty(_SCHEMA)).write_csv().encode()
    for frame in frames:
        yield _flat(frame).write_csv(include_header=False).encode()


def _comments(provenance: Mapping[str, Any]) -> str:
    """Comment lines: one a fact, one a gap; no fact can break out of its line."""
    facts = {k: v for k, v in provenance.items() if k != "gaps"}
    lines = [f"# {name}: {msgspec.json.encode(value).decode()}" for name, value in facts.items()]
    lines += [f"# gap: {msgspec.json.encode(gap).decode()}" for gap in provenance["gaps"]]
    guard = "# a cell that a spreadsheet would run (= + - @) begins with an apostrophe"
    return "".join(f"{line}\n" for line in [*lines, guard])


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Cells of text only: lists as JSON, nothing that a spreadsheet would run."""
    text = pl.selectors.string()
    guarded = pl.when(text.str.contains(FORMULA)).then("'" + text).otherwise(text)
    lists = pl.selectors.by_dtype(pl.List)
    return (
        _iso(frame)
        .with_columns(guarded.name.keep())
        .with_columns(
            pl.struct(name).struct.json_encode().str.slice(len(name) + 4).str.head(-1).alias(name)
            for name in pl.selectors.expand_selector(frame, lists)
        )
    )


def _parquet(
    frames: Iterator[pl.DataFrame], provenance: Mapping[str, Any] | None
) -> Iterator[bytes]:
    """Parquet has its index at the end and is made whole first, on disk."""
    schema = _arrow(empty(_SCHEMA)).schema
    about = {b"earshot": msgspec.json.encode(provenance)} if provenance is not None else {}
    with tempfile.TemporaryFile() as file:
        with pq.ParquetWriter(file, schema.with_metadata(about), compression="zstd") as writer:
            for frame in frames:
                writer.write_table(_arrow(frame).replace_schema_metadata(about))
        file.seek(0)
        while data := file.read(CHUNK):
            yield data


def _arrow(frame: pl.DataFrame) -> Any:  # noqa: ANN401 - pyarrow has no types
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _iso(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.selectors.datetime().dt.strftime(_ISO))


def _text(moment: dt.datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
