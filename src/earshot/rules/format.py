"""Tree to text: `parse(format_rule(node)) == node`, one way to write each expression."""

import re

from earshot.rules.nodes import (
    And,
    Field,
    Leaf,
    Near,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Range,
    Sample,
    Word,
)


def format_rule(node: Node) -> str:
    """Write an expression the shortest way that reads back as the same tree."""
    if isinstance(node, Or):
        return " OR ".join(_within(part, Or) for part in node.parts)
    if isinstance(node, And):
        return " ".join(_within(part, Or | And) for part in node.parts)
    if isinstance(node, Not):
        return "-" + _within(node.part, Or | And)
    return _leaf(node)


def _within(part: Node, grouped: type | object) -> str:
    text = format_rule(part)
    return f"({text})" if isinstance(part, grouped) else text  # type: ignore[arg-type]


def _leaf(node: Leaf) -> str:  # noqa: PLR0911 - one for each kind
    match node:
        case Word(text):
            return text
        case Prefix(text):
            return f"{text}*"
        case Phrase(text):
            return _quoted(text)
        case Near(text, distance):
            return f"{_quoted(text)}~{distance}"
        case Field(name, value):
            plain = re.fullmatch(r'[^\s()"]+', value)
            return f"{name}:{value if plain else _quoted(value)}"
        case Range(name, low, high):
            return f"{name}:{_range(low, high)}"
        case Sample(percent):
            return f"sample:{percent}"


def _range(low: int | None, high: int | None) -> str:
    if low == high:
        return str(low)
    return f"{'' if low is None else low}..{'' if high is None else high}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
