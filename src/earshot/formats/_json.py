"""JSON into columns: one reader for every format, in which no record can touch another.

`Expr.str.json_decode` joins all texts into one array and fails as a whole. Three things make it
safe. (1) Each record stands between two numbered marks, `{mark: n}, record`, so a record that is
two, or none, or swallows its neighbour, changes the marks; their name cannot be guessed. (2) On
any fault the slice is halved with the same reader, down to the record whose fault it is. (3) What
this reader says of that one record alone is the verdict.

Three kinds of record are set right and read again, by a rule that looks at nothing but the record:
lone surrogates and NUL become U+FFFD (the reader would make NUL of them, or refuse); a value of
another type than declared becomes null (an unknown shape of a field is no reason to lose a post).
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import polars as pl

Fields = dict[str, pl.DataType]

_MARK: Final = "#" + secrets.token_hex(8)
_SLICE_BYTES: Final = 1 << 21
"""Text that is read at once: of 128 kB … 16 MB the quickest (it stays in the processor's cache)."""
_FAULTS: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_NOT_ONE: Final = "a record is not one JSON object"
_REPLACEMENT: Final = "\\ufffd"
_HIGH: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_SUSPECT: Final = (
    _HIGH + r"(?:[^\\]|\\[^u]|\\u[^dD]|\\u[dD][^c-fC-F])|\\u0000"
)  # a high surrogate without a low one behind it, which the reader would take for NUL


@dataclass(frozen=True, slots=True)
class Unwrap:
    """An outer object that may hold the item: `{"tweet": {…}}` where `key` is not outside."""

    key: str
    """A field every item has; where it is null the item may be wrapped."""
    names: tuple[str, ...]
    """Fields that may hold the item, in order of preference."""
    outer: tuple[str, ...] = ()
    """Fields that are kept from outside, also when the item is inside."""


def read(raw: pl.Series, fields: Fields, unwrap: Unwrap | None = None) -> pl.DataFrame:
    """Read one JSON object a record; exactly one row comes back for each, in order.

    Args:
        raw: Binary, one item each.
        fields: Columns wanted, with their types; unknown keys are ignored, the first of two equal
            keys counts.
        unwrap: Where the item may lie one level deeper.

    Returns:
        `row` (UInt32, from 0), `fault` (String: why it could not be read, else null), then
        `fields`, all null where there is a fault.
    """
    numbered = pl.DataFrame({"raw": raw.fill_null(b"")}).with_row_index("row")
    if unwrap is None:
        return _read(numbered, fields)
    probes: Fields = {n: fields.get(n, pl.Struct({})) for n in unwrap.names}
    flat = _read(numbered, {**probes, **fields})
    wrapped = _wrapped(flat, unwrap)
    if not wrapped.height:
        return flat.select("row", "fault", *fields)
    inner = _read_inside(numbered, wrapped, fields, unwrap)
    own = flat.select("row", "fault", *fields).filter(
        ~pl.col("row").is_in(wrapped["row"].implode())
    )
    return pl.concat([own, inner]).sort("row")


def _wrapped(flat: pl.DataFrame, unwrap: Unwrap) -> pl.DataFrame:
    """`row` and `name` of the field that holds the item."""
    held = pl.coalesce(
        *(pl.when(pl.col(n).is_not_null()).then(pl.lit(n)) for n in unwrap.names)
    ).alias("name")
    told = flat.select("row", held, pl.col(unwrap.key).is_null().alias("bare"))
    return told.filter("bare").select("row", "name").drop_nulls()


def _read_inside(
    numbered: pl.DataFrame, wrapped: pl.DataFrame, fields: Fields, unwrap: Unwrap
) -> pl.DataFrame:
    """Read the wrapped items again, each from the field that holds it."""
    parts = []
    for (name,), some in wrapped.group_by("name", maintain_order=True):
        outer: Fields = {n: fields[n] for n in unwrap.outer}
        shape: Fields = {**outer, str(name): pl.Struct(fields)}
        rows = numbered.filter(pl.col("row").is_in(some["row"].implode()))
        found = _read(rows, shape)
        inner = found[str(name)].struct.unnest()
        kept = (pl.coalesce(found[n], inner[n]).alias(n) for n in outer)
        told = found.select("row", "fault")
        parts.append(pl.concat([told, inner.with_columns(*kept)], how="horizontal"))
    return pl.concat(parts)


def _read(numbered: pl.DataFrame, fields: Fields) -> pl.DataFrame:
    """Read slice by slice: some hundred records at once are quickest.

    Returns:
        `row`, `fault`, `fields`, in one chunk: later steps take four times as long on many.
    """
    reader = _Reader(fields)
    records = _as_text(numbered)
    mean = max(1, int(numbered["raw"].bin.size().sum()) // max(1, numbered.height))
    size = max(_SLICE_BYTES // mean, 1)
    slices = (records[at : at + size] for at in range(0, records.height, size))
    items = [item for one in slices for item in reader.read(one)]
    # `Series.struct.unnest` takes the columns as they are; `Expr.struct` copies each of them.
    columns = pl.concat([reader.nothing, *items], rechunk=True).struct.unnest().drop(_MARK)
    told = {"row": list(reader.faults), "fault": list(reader.faults.values())}
    faults = pl.DataFrame(told, schema={"row": pl.UInt32, "fault": pl.String})
    rows = numbered.select("row").join(faults, on="row", how="left", maintain_order="left")
    return pl.concat([rows, columns], how="horizontal")


def _as_text(numbered: pl.DataFrame) -> pl.DataFrame:
    """The records as text at once, if all are: the check costs as much for a slice as for all."""
    try:
        return numbered.with_columns(pl.col("raw").cast(pl.String))
    except _FAULTS:
        return numbered


class _Reader:
    """Reads slices of records into structs of one shape, and keeps what was wrong with some."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._shape = pl.Struct({_MARK: pl.UInt32, **fields})
        self.nothing = pl.Series("item", [], self._shape)
        self.faults: dict[int, str] = {}
        """Row → why it could not be read; its struct is null."""

    def read(self, records: pl.DataFrame) -> list[pl.Series]:
        """Structs of a slice; on a fault it is halved, always with the same reader."""
        try:
            return [self._columns(records)]
        except _FAULTS:
            if records.height == 1:
                return [self._alone(records)]
        half = records.height // 2
        return self.read(records[:half]) + self.read(records[half:])

    def _columns(self, records: pl.DataFrame) -> pl.Series:
        """The reader itself. Raises a polars error when any record of the slice has a fault."""
        text = _mended(records["raw"].cast(pl.String))
        marked = pl.concat_str(
            pl.lit(f'{{"{_MARK}":'), "row", pl.lit("},"), text.alias("text")
        ).alias("item")
        pairs = records.select(marked)["item"].str.json_decode(self._shape)
        marks = pairs.struct.field(_MARK).gather_every(2)
        if len(pairs) != 2 * records.height or pairs.null_count():
            raise pl.exceptions.ComputeError(_NOT_ONE)
        if not marks.equals(records["row"]):
            raise pl.exceptions.ComputeError(_NOT_ONE)
        return pairs.gather_every(2, 1)

    def _alone(self, record: pl.DataFrame) -> pl.Series:
        """The verdict on one record that was refused: set right and read again, or a reason."""
        raw = record["raw"].cast(pl.Binary)[0]
        reason, fitted = _fitted(raw, self._fields)
        if fitted is not None:
            try:
                return self._columns(record.with_columns(raw=pl.lit(fitted)))
            except _FAULTS:
                reason = "its values cannot be read"
        self.faults[int(record["row"][0])] = reason
        return pl.Series("item", [None], self._shape)


def _mended(text: pl.Series) -> pl.Series:
    """Write U+FFFD for NUL and lone surrogates, in the few texts that may have any."""
    suspect = text.str.contains(_SUSPECT)
    return text if not suspect.any() else _replaced(text, suspect)


def _replaced(text: pl.Series, where: pl.Series) -> pl.Series:
    """Do so in the texts `where` says; an escaped backslash is first written by its code.

    Pairs are put aside behind a control character, which no JSON text may hold: a text that
    does is left as it is (and is refused by the reader).
    """
    column = pl.col("text")
    mended = (
        column.str.replace_all("\\\\", "\\u005c", literal=True)
        .str.replace_all(r"\\(u[dD][89abAB][0-9a-fA-F]{2})\\(u[dD][c-fC-F]..)", "\x01$1\x01$2")
        .str.replace_all(rf"{_HIGH}|{_LOW}|\\u0000", _REPLACEMENT)
        .str.replace_all("\x01", "\\", literal=True)
    )
    sound = pl.col("where") & ~column.str.contains("\x01", literal=True)
    return pl.DataFrame({"text": text, "where": where}).select(
        pl.when(sound).then(mended).otherwise(column)
    )["text"]


def _fitted(raw: bytes, fields: Fields) -> tuple[str, bytes | None]:
    """The record with only the wanted fields, those of another type as null; or why it cannot be.

    Lone surrogates are mended here too: the reader refuses a low one.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as e:
        return f"not UTF-8: byte {e.start} is {raw[e.start]:#04x}", None
    if not text.strip():
        return "empty", None
    whole = _replaced(pl.Series("text", [text]), pl.Series("where", [True]))[0]
    try:
        value = msgspec.json.decode(whole)
    except msgspec.DecodeError as e:
        return f"not JSON: {str(e).removeprefix('JSON is malformed: ')}", None
    except RecursionError:
        return "nested too deeply", None
    if not isinstance(value, dict):
        return f"not a JSON object but {_KINDS.get(type(value), 'null')}", None
    return "", msgspec.json.encode(_fit(value, pl.Struct(fields)))


_KINDS: Final[dict[type, str]] = {
    list: "an array",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
}


def _fit(value: Any, kind: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """`value` cut down to what the type `kind` can hold; None where it can hold nothing of it."""
    if isinstance(kind, pl.Struct) and isinstance(value, dict):
        return {f.name: _fit(value[f.name], f.dtype) for f in kind.fields if f.name in value}
    if isinstance(kind, pl.List) and isinstance(value, list):
        return [_fit(v, kind.inner) for v in value]
    if isinstance(value, str) and kind.is_numeric():
        return _number(value, kind)
    wanted = str | int | float if kind == pl.String else int | float
    scalar = bool if kind == pl.Boolean else None if kind.is_nested() else wanted
    return value if scalar is not None and isinstance(value, scalar) else None


def _number(text: str, kind: Any) -> float | None:  # noqa: ANN401 - a polars type
    """The number that a text spells, where a number is wanted."""
    try:
        return int(text) if kind == pl.Int64 else float(text)
    except ValueError:
        return None
