"""Cut what holds many items into items, and look at what a first item is like."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

_BOM: Final = b"\xef\xbb\xbf"
_RAW: Final = msgspec.json.Decoder(msgspec.Raw)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FAULTS: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def documents(data: bytes) -> Iterator[bytes]:
    """The JSON documents of a text: the text itself, or else each line that is not blank.

    Members of an outermost array count as documents. What is no JSON stays as it is: to say what
    is wrong with it is for the reader.
    """
    whole = data.removeprefix(_BOM).strip()
    if not whole:
        return
    if b"\n" in whole and not _is_one(whole):
        for line in whole.splitlines():
            if line.strip():
                yield from _members(line.strip())
    else:
        yield from _members(whole)


def fields(document: bytes) -> dict[str, msgspec.Raw] | None:
    """Raw values of a JSON object by key; None where it is none."""
    try:
        return _OBJECT.decode(document)
    except _FAULTS:
        return None


def members(array: bytes | msgspec.Raw) -> list[bytes] | None:
    """Raw members of a JSON array; None where it is none."""
    try:
        return [bytes(raw) for raw in _RAWS.decode(array)]
    except _FAULTS:
        return None


def value(document: bytes | msgspec.Raw) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What a document says, as Python's own types; None where it cannot be read."""
    try:
        return msgspec.json.decode(document)
    except _FAULTS:
        return None


@lru_cache(maxsize=4)
def first_object(sample: bytes) -> dict[str, Any]:
    """The first JSON object of a sample: the whole, a member of an array, or of its first line.

    Returns:
        {} where there is none. Remembered, as every format asks for the same one: not to be
        changed.
    """
    whole = sample.removeprefix(_BOM).strip()
    if whole[:1] not in {b"{", b"["}:
        return {}
    found = value(whole)
    if found is None:
        found = value(whole.partition(b"\n")[0])
    if isinstance(found, list):
        found = next((v for v in found if isinstance(v, dict)), None)
    return found if isinstance(found, dict) else {}


def text(item: dict[str, Any], key: str) -> str:
    """The text under a key of an object; "" where there is none, or something else."""
    found = item.get(key)
    return found if isinstance(found, str) else ""


def _is_one(text: bytes) -> bool:
    """Whether a text of several lines is one document."""
    try:
        _RAW.decode(text)
    except _FAULTS:
        return False
    return True


def _members(document: bytes) -> Iterator[bytes]:
    """Members of an array; anything else as it is."""
    found = members(document) if document.startswith(b"[") else None
    yield from found or [document]
