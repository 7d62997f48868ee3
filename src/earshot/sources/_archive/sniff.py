"""What kind of file this is, found out from its first bytes."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from earshot.sources._archive import cut

HEAD: Final = 1 << 20
"""Bytes that are looked at first."""
LONG_HEAD: Final = 32 << 20
"""Bytes that are looked at where the first do not hold one whole item."""
_LINES: Final = 64
_SSE: Final = re.compile(rb"(?:event|data|id|retry)?:[^\n]*\r?\n")
_SSE_DATA: Final = re.compile(rb"^data: ?(\{[^\r\n]*)", re.MULTILINE)
_OPENS_ONLY: Final = re.compile(rb"[\[{\s]+")

Detect = Callable[[bytes], str | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """How to read a file."""

    format: str
    """Name of the format most of it is in."""
    cutter: cut.Cutter
    mixed: bool = False
    """Lines are of several formats: each must be looked at."""
    header: bytes = b""
    """First row of a CSV text."""


def sniff(head: bytes, *, whole: bool, detect: Detect, given: str | None = None) -> Shape | None:
    """Say how to read a file that begins with `head`; None: it holds no payloads known to us.

    Args:
        head: The first bytes, decompressed.
        whole: They are the whole file, so that the last line is complete.
        detect: Tells the format of one item or of a text's first lines.
        given: The format, where somebody said it; then only the layout is looked for.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    ways = (_sse, _lines, _values, _text) if not _opens_only(text) else (_values, _lines)
    shapes = (shape for way in ways if (shape := way(text, whole, _or(given, detect))))
    return next(shapes, None)


def _or(given: str | None, detect: Detect) -> Detect:
    """`detect`, unless the format is known already."""
    return detect if given is None else lambda sample: given if sample.strip() else None


def _opens_only(text: bytes) -> bool:
    """Whether the first line is but brackets, or an array begins: items are not on lines."""
    first = text.partition(b"\n")[0]
    return text[:1] == b"[" or bool(first and _OPENS_ONLY.fullmatch(first))


def _first_lines(text: bytes, *, whole: bool) -> Iterator[bytes]:
    """The first complete lines that are not blank."""
    split = text.split(b"\n", 16 * _LINES)
    if not whole or len(split) > 16 * _LINES:
        split.pop()
    full = (line.strip() for line in split)
    yield from (line for _, line in zip(range(_LINES), filter(None, full), strict=False))


def _lines(text: bytes, whole: bool, detect: Detect) -> Shape | None:  # noqa: FBT001 - one of `ways`
    """JSON objects, one a line; lines that are cut off or damaged do not hide the others."""
    lines = (line for line in _first_lines(text, whole=whole) if line.startswith(b"{"))
    votes = Counter(name for line in lines if (name := detect(line)))
    if not votes:
        return None
    return Shape(votes.most_common(1)[0][0], cut.lines, mixed=len(votes) > 1)


def _values(text: bytes, whole: bool, detect: Detect) -> Shape | None:  # noqa: ARG001, FBT001 - one of `ways`
    """JSON laid out over lines, or members of an array."""
    if text[:1] not in {b"{", b"["}:
        return None
    name = detect(cut.first_value(text))
    return Shape(name, cut.values) if name else None


def _sse(text: bytes, whole: bool, detect: Detect) -> Shape | None:  # noqa: ARG001, FBT001 - one of `ways`
    """Server-sent events."""
    if not _SSE.match(text):
        return None
    samples = (text, *_SSE_DATA.findall(text))
    name = next((name for sample in samples if (name := detect(sample))), None)
    return Shape(name, cut.events) if name else None


def _text(text: bytes, whole: bool, detect: Detect) -> Shape | None:  # noqa: FBT001 - one of `ways`
    """Rows with a header."""
    lines = list(_first_lines(text, whole=whole))
    if text[:1] in {b"{", b"["} or not lines:
        return None
    name = detect(b"\n".join(lines))
    if name == "csv":
        return Shape(name, cut.rows, header=cut.first_row(text))
    # Another name can only be one that was given: its first lines are all damaged.
    return Shape(name, cut.lines) if name else None
