"""Where in a text the words of an expression stand, for people to see why it matched."""

import polars as pl

from earshot.model.tokens import is_unspaced, terms, tokenize
from earshot.rules.nodes import And, Near, Node, Not, Or, Phrase, Prefix, Word, leaves


def spans(node: Node, text: str) -> list[tuple[int, int]]:
    """The (start, length) of each stretch to highlight, in characters of `text`, in order.

    Words that are not negated are shown wherever they stand; those of a phrase or of a distance
    only where all of it is there.
    """
    found = tokenize(pl.Series([text]), index=True)
    forms = str(found.index[0]).split(" ") if len(found.hash) else []
    rows = list(
        zip(
            forms, found.position.tolist(), found.start.tolist(), found.length.tolist(), strict=True
        )
    )
    stretches = {
        (start, start + length) for leaf in _shown(node) for start, length in _of_leaf(leaf, rows)
    }
    return _in_characters(_merged(sorted(stretches)), text)


Row = tuple[str, int, int, int]
"""Token, position, first byte, bytes."""


def _shown(node: Node) -> list[Word | Phrase | Near | Prefix]:
    if isinstance(node, Not):
        return []
    if isinstance(node, And | Or):
        return [leaf for part in node.parts for leaf in _shown(part)]
    return [leaf for leaf in leaves(node) if isinstance(leaf, Word | Phrase | Near | Prefix)]


def _of_leaf(leaf: Word | Phrase | Near | Prefix, rows: list[Row]) -> list[tuple[int, int]]:
    """(first byte, bytes) of every place of one leaf."""
    tokens = terms(leaf.text)
    if isinstance(leaf, Near):
        return _near(list(dict.fromkeys(tokens)), leaf.distance, rows)
    if isinstance(leaf, Prefix) and not is_unspaced(tokens[0]):
        return [row[2:] for row in rows if row[0].startswith(tokens[0])]
    places: list[tuple[int, int]] = []
    for first in {row[1] for row in rows if _is(row, tokens[0], last=len(tokens) == 1)}:
        hits = [
            [r for r in rows if r[1] == first + k and _is(r, t, last=k == len(tokens) - 1)]
            for k, t in enumerate(tokens)
        ]
        if all(hits):
            places += [row[2:] for hit in hits for row in hit[:1]]
    return places


def _is(row: Row, token: str, *, last: bool) -> bool:
    single = last and len(token) == 1 and is_unspaced(token)
    return row[0].startswith(token) if single else row[0] == token


def _near(tokens: list[str], distance: int, rows: list[Row]) -> list[tuple[int, int]]:
    places = [[r for r in rows if _is(r, t, last=True)] for t in tokens]
    reach = distance + len(tokens) - 1
    shown = []
    for low in {row[1] for rows_of in places for row in rows_of}:
        inside = [[r for r in rows_of if low <= r[1] <= low + reach] for rows_of in places]
        if all(inside):
            shown += [row[2:] for rows_of in inside for row in rows_of]
    return shown


def _merged(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches (start, end) that overlap or touch, as one."""
    merged: list[tuple[int, int]] = []
    for start, end in stretches:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _in_characters(stretches: list[tuple[int, int]], text: str) -> list[tuple[int, int]]:
    data = text.encode()
    return [(len(data[:start].decode()), len(data[start:end].decode())) for start, end in stretches]
