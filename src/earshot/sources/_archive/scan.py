"""Where the values of a JSON text begin and end, found without reading what they say."""

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

DEPTH, BASE, STRING, ESCAPED, OPEN, LINE, BARE, STARTED, START = range(9)
"""Places of the scanner's state: depth now, depth at which values lie (1 inside a top-level
array), inside a string, after a backslash, inside a value, lines so far, value without brackets,
line on which the value began, and where in the last block (-1: in an earlier one)."""

_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_COMMA: Final = ord(",")
_NEWLINE: Final = ord("\n")
_SPACE: Final = ord(" ")
_OPEN_ARRAY: Final = ord("[")
_OPEN_OBJECT: Final = ord("{")
_CLOSE_ARRAY: Final = ord("]")
_CLOSE_OBJECT: Final = ord("}")

State = npt.NDArray[np.int64]


def fresh(base: int = 0, line: int = 0) -> State:
    """The state before the first byte, or between two values (of a top-level array: base 1)."""
    state = np.zeros(9, np.int64)
    state[DEPTH] = state[BASE] = base
    state[LINE] = line
    return state


@njit(cache=True, nogil=True)
def scan(  # noqa: PLR0912 - one state machine reads better whole
    data: npt.NDArray[np.uint8], state: State, out: npt.NDArray[np.int64]
) -> int:
    """Mark the ends of values in a block; values are those at top level or in top-level arrays.

    Args:
        data: Bytes, the next of the text.
        state: See `fresh`; carried from block to block.
        out: Room for rows of (start, end, line of the start, base after it), start < 0 where the
            value began in an earlier block.

    Returns:
        How many rows were filled. Stops scanning when `out` is full; the caller sees to it that
        it is not (one row a byte is always enough).
    """
    depth, base, string, escaped = state[DEPTH], state[BASE], state[STRING], state[ESCAPED]
    inside, line, bare = state[OPEN], state[LINE], state[BARE]
    start, started, found = -1, state[STARTED], 0
    for i in range(len(data)):
        c = data[i]
        if c == _NEWLINE:
            line += 1
        if string:
            if escaped:
                escaped = 0
            elif c == _BACKSLASH:
                escaped = 1
            elif c == _QUOTE:
                string = 0
            continue
        ends_bare = bare and (c in (_COMMA, _CLOSE_ARRAY) or c <= _SPACE)
        if ends_bare:
            out[found, 0], out[found, 1], out[found, 2], out[found, 3] = start, i, started, base
            found += 1
            inside, bare, start = 0, 0, -1
        if not inside:
            if c <= _SPACE or c == _COMMA:
                continue
            if c == _OPEN_ARRAY and base == 0:
                depth, base = 1, 1
                continue
            if c == _CLOSE_ARRAY and base == 1:
                depth, base = 0, 0
                continue
            inside, start, started = 1, i, line
            bare = 0 if (c in (_OPEN_ARRAY, _OPEN_OBJECT)) else 1
        if c == _QUOTE:
            string = 1
        elif bare:
            continue
        elif c in (_OPEN_ARRAY, _OPEN_OBJECT):
            depth += 1
        elif c in (_CLOSE_ARRAY, _CLOSE_OBJECT):
            depth -= 1
            if depth == base:
                out[found, 0], out[found, 1], out[found, 2] = start, i + 1, started
                out[found, 3] = base
                found += 1
                inside, start = 0, -1
    state[DEPTH], state[BASE], state[STRING], state[ESCAPED] = depth, base, string, escaped
    state[OPEN], state[LINE], state[BARE], state[STARTED] = inside, line, bare, started
    state[START] = start
    return found
