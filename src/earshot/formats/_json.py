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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

Fields = dict[str, pl.DataType]

_MARK: Final = "#" + secrets.token_hex(8)
_SLICE_BYTES: Final = 3 << 18
"""Text that is read at once: of 128 kB … 16 MB the quickest (it stays in the processor's cache)."""
_FEW: Final = 64
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
    begins: bytes = b""
    """How a record begins that holds its item in the first of `names`, as a guess: it can spare a
    second reading, but change nothing."""


def read(raw: pl.Series, fields: Fields, unwrap: Unwrap | None = None) -> pl.DataFrame:
    """`Reader.read`, for fields that are read once; whoever reads them often keeps the reader."""
    return Reader(fields, unwrap).read(raw)


def picked(frame: pl.DataFrame, where: pl.Series) -> pl.DataFrame:
    """Rows where `where` is true: by their places, since to filter nested columns costs tenfold."""
    places = pl.Series(np.arange(frame.height, dtype=np.uint32)).filter(where)
    return frame if len(places) == frame.height else frame[places]


class Reader:
    """Reads records of one shape; made once, since to tell polars a deep shape takes long."""

    def __init__(
        self, fields: Fields, unwrap: Unwrap | None = None, *, rare: tuple[str, ...] = ()
    ) -> None:
        """Prepare to read `fields`.

        Args:
            fields: Columns wanted, with their types; unknown keys are ignored, the first of two
                equal keys counts.
            unwrap: Where the item may lie one level deeper.
            rare: Fields, of lower-case letters and `_`, that few records have and that are dear
                to look for: records without such a name in their bytes are read apart.
        """
        probes: Fields = {n: pl.Struct({}) for n in unwrap.names} if unwrap else {}
        self._fields, self._unwrap = fields, unwrap
        self._probes = [n for n in probes if n not in fields]
        self._shape = _Shape({**probes, **fields})
        self._rare = {n: pl.Series(n, [None], fields[n]) for n in rare}
        self._usual = _Shape({n: t for n, t in {**probes, **fields}.items() if n not in rare})
        self._inside: dict[str, _Shape] = {}

    def read(self, raw: pl.Series) -> pl.DataFrame:
        """Read one JSON object a record; exactly one row comes back for each, in order.

        Args:
            raw: Binary, one item each.

        Returns:
            `row` (UInt32, from 0), `fault` (String: why it could not be read, else null), then
            the fields, all null where there is a fault.
        """
        whole = raw.fill_null(b"") if raw.null_count() else raw
        numbered = whole.alias("raw").to_frame().with_row_index("row")
        if self._unwrap is None or not self._unwrap.begins:
            return self._read_any(numbered)
        inner = self._read_wrapped(numbered, self._unwrap)
        if inner.height == numbered.height:
            return inner
        if inner.height:
            numbered = numbered.filter(~numbered["row"].is_in(inner["row"].implode()))
        flat = self._read_any(numbered)
        return pl.concat([flat.select(inner.columns), inner]).sort("row") if inner.height else flat

    def _read_wrapped(self, numbered: pl.DataFrame, unwrap: Unwrap) -> pl.DataFrame:
        """The items of those records that are what the guess says, and no row for all others."""
        name = unwrap.names[0]
        likely = numbered.filter(numbered["raw"].bin.starts_with(unwrap.begins))
        found = self._shape_inside(name, unwrap).read(likely)
        sound = found[unwrap.key].is_null() & found[name].is_not_null()
        return _item(picked(found, sound), name, unwrap)

    def _read_any(self, numbered: pl.DataFrame) -> pl.DataFrame:
        """Read records, then once more those that turn out to hold their item one level deeper."""
        flat = self._read(numbered)
        if self._unwrap is None:
            return flat
        wrapped = _wrapped(flat, self._unwrap)
        for name in self._probes:
            flat.drop_in_place(name)
        if not wrapped.height:
            return flat
        inner = self._read_inside(numbered, flat["row"], wrapped, self._unwrap)
        own = picked(flat, ~flat["row"].is_in(wrapped["row"].implode()))
        return pl.concat([own.select(inner.columns), inner]).sort("row")

    def _read(self, numbered: pl.DataFrame) -> pl.DataFrame:
        """Read what is not inside; records that cannot have a rare field without looking for it."""
        if not self._rare or numbered.height <= _FEW:
            return self._shape.read(numbered)
        likely = _spelled(numbered["raw"], self._rare)
        if likely.all():
            return self._shape.read(numbered)
        usual = self._usual.read(numbered.filter(~likely))
        absent = [none.new_from_index(0, usual.height) for none in self._rare.values()]
        usual.hstack(absent, in_place=True)
        if not likely.any():
            return usual
        rest = self._shape.read(numbered.filter(likely))
        return pl.concat([usual.select(rest.columns), rest]).sort("row")

    def _read_inside(
        self, numbered: pl.DataFrame, rows: pl.Series, wrapped: pl.DataFrame, unwrap: Unwrap
    ) -> pl.DataFrame:
        """Read the wrapped items again, each from the field that holds it."""
        parts = []
        for (key,), some in wrapped.group_by("name", maintain_order=True):
            name = str(key)
            again = numbered[rows.search_sorted(some["row"])]
            parts.append(_item(self._shape_inside(name, unwrap).read(again), name, unwrap))
        return pl.concat(parts)

    def _shape_inside(self, name: str, unwrap: Unwrap) -> "_Shape":
        """The shape of records whose item lies in the field `name`."""
        if name not in self._inside:
            outer: Fields = {n: self._fields[n] for n in (unwrap.key, *unwrap.outer)}
            self._inside[name] = _Shape({**outer, name: pl.Struct(self._fields)})
        return self._inside[name]


def _item(found: pl.DataFrame, name: str, unwrap: Unwrap) -> pl.DataFrame:
    """`row`, `fault` and the item that the field `name` holds, with what is kept from outside."""
    inner = found[name].struct.unnest()
    kept = [pl.coalesce(found[n], inner[n]).alias(n) for n in unwrap.outer]
    return found["row", "fault"].hstack(inner.with_columns(kept) if kept else inner)


_ESCAPED: Final = (b"\\u005", b"\\u006", b"\\u007")
"""How a lower-case letter or `_` begins where a name is written in another way."""


def _spelled(raw: pl.Series, names: Iterable[str]) -> pl.Series:
    """Which records may hold a field of one of these names, at any depth."""
    held = raw.bin.contains(_ESCAPED[0][:-1])
    if held.any():
        held = raw.to_frame().select(_IN_ANOTHER_WAY).to_series()
    for name in names:
        held |= raw.bin.contains(f'"{name}"'.encode())
    return held


_IN_ANOTHER_WAY: Final = pl.any_horizontal(pl.col("raw").bin.contains(e) for e in _ESCAPED)


_NOBODY: Final = pl.DataFrame(schema={"row": pl.UInt32, "name": pl.String})


_IS_WRAPPED: Final = pl.col("bare") & pl.col("name").is_not_null()


def _wrapped(flat: pl.DataFrame, unwrap: Unwrap) -> pl.DataFrame:
    """`row` and `name` of the field that holds the item."""
    lost = flat[unwrap.key].null_count()
    if not lost or all(flat[n].null_count() == flat.height for n in unwrap.names):
        return _NOBODY
    held = pl.coalesce(
        *(pl.when(pl.col(n).is_not_null()).then(pl.lit(n)) for n in unwrap.names)
    ).alias("name")
    told = flat.select("row", held, pl.col(unwrap.key).is_null().alias("bare"))
    return told.filter(_IS_WRAPPED)["row", "name"]


_TEXT: Final = pl.Schema({"row": pl.UInt32, "fault": pl.String})
_SOUND: Final = pl.Series("fault", [None], pl.String)


class _Shape:
    """Reads records into structs of one shape; keeps nothing of what it read."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        shape = pl.Struct({_MARK: pl.UInt32, **fields})
        self._nothing = pl.Series("item", [], shape)
        self._decode = (
            pl.concat_str(pl.lit(f'{{"{_MARK}":'), "row", pl.lit("},"), "text")
            .str.json_decode(shape)
            .alias("item")
        )

    def read(self, numbered: pl.DataFrame) -> pl.DataFrame:
        """Read slice by slice: some hundred records at once are quickest.

        Returns:
            `row`, `fault`, fields, in one chunk: later steps take four times as long on many.
        """
        faults: dict[int, str] = {}
        records = _as_text(numbered)
        size = max(_SLICE_BYTES // _mean_bytes(numbered["raw"]), 1)
        slices = (records[at : at + size] for at in range(0, records.height, size))
        items = [item for one in slices for item in self._slice(one, faults)]
        item = pl.concat(items, rechunk=True) if len(items) > 1 else (items or [self._nothing])[0]
        # `Series.struct.unnest` takes the columns as they are; `Expr.struct` copies each of them.
        columns = item.struct.unnest()
        columns.drop_in_place(_MARK)
        columns.insert_column(0, numbered["row"])
        return columns.insert_column(1, _told(faults, numbered))

    def _slice(self, records: pl.DataFrame, faults: dict[int, str]) -> list[pl.Series]:
        """Structs of a slice; on a fault it is halved, always with the same reader."""
        try:
            return [self._columns(records)]
        except _FAULTS:
            if records.height == 1:
                return [self._alone(records, faults)]
        half = records.height // 2
        return self._slice(records[:half], faults) + self._slice(records[half:], faults)

    def _columns(self, records: pl.DataFrame) -> pl.Series:
        """The reader itself. Raises a polars error when any record of the slice has a fault."""
        pairs = _with_text(records).select(self._decode)
        if pairs.height != 2 * records.height or pairs["item"].null_count():
            raise pl.exceptions.ComputeError(_NOT_ONE)
        marks = pairs["item"].struct.unnest()[_MARK].to_numpy()
        places = np.arange(0, pairs.height, 2, dtype=np.uint32)
        if not np.array_equal(marks[places], records["row"].to_numpy()):
            raise pl.exceptions.ComputeError(_NOT_ONE)
        return pairs[places + 1]["item"]

    def _alone(self, record: pl.DataFrame, faults: dict[int, str]) -> pl.Series:
        """The verdict on one record that was refused: set right and read again, or a reason."""
        reason, fitted = _fitted(record["raw"][0], self._fields)
        if fitted is not None:
            try:
                return self._columns(record.select("row", raw=pl.lit(fitted)))
            except _FAULTS:
                reason = "its values cannot be read"
        faults[int(record["row"][0])] = reason
        return self._nothing.clear(1)


def _mean_bytes(raw: pl.Series) -> int:
    """How long a record is, about; few are read at once in any case."""
    return max(1, int(raw.bin.size().sum()) // len(raw)) if len(raw) > _FEW else 1


def _told(faults: dict[int, str], numbered: pl.DataFrame) -> pl.Series:
    """`fault` of each record: nearly always all null."""
    if not faults:
        return _SOUND.new_from_index(0, numbered.height)
    told = pl.DataFrame({"row": list(faults), "fault": list(faults.values())}, schema=_TEXT)
    rows = numbered.select("row").join(told, on="row", how="left", maintain_order="left")
    return rows["fault"]


def _as_text(numbered: pl.DataFrame) -> pl.DataFrame:
    """`_with_text` of all at once, if all are text: slice by slice that takes longer."""
    try:
        return _with_text(numbered)
    except _FAULTS:
        return numbered


def _with_text(records: pl.DataFrame) -> pl.DataFrame:
    """`row`, `raw`, and `text` to be read; raises a polars error where one is no UTF-8."""
    if "text" in records.columns:
        return records
    raw = records["raw"]
    return pl.DataFrame([records["row"], raw, _mended(raw.cast(pl.String)).alias("text")])


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
