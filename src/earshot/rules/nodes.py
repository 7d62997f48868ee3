"""What an expression is once it has been read: a tree of frozen values, compared by content."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One word, #tag, @name, $cash or emoji as typed; where it is several tokens, a phrase."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """The tokens of `text`, one directly behind the other."""

    text: str


@dataclass(frozen=True, slots=True)
class Near:
    """The tokens of `text` in any order, with at most `distance` other tokens between them."""

    text: str
    distance: int


@dataclass(frozen=True, slots=True)
class Prefix:
    """A token that begins with `text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """What is known of a post beside its words; `grammar` has the names and their meanings."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Range:
    """A count within bounds, both included; None: unbounded. An unknown count never is."""

    name: str
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """So many percent of all posts, always the same ones: by the hash of the key."""

    percent: int


@dataclass(frozen=True, slots=True)
class Not:
    """Posts that do not match."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """Posts that match every part; at least two, none of them an And."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Posts that match at least one part; at least two, none of them an Or."""

    parts: tuple["Node", ...]


Leaf = Word | Phrase | Near | Prefix | Field | Range | Sample
Node = Leaf | Not | And | Or


def leaves(node: Node) -> Iterator[Leaf]:
    """Every leaf, from left to right."""
    if isinstance(node, Not):
        yield from leaves(node.part)
    elif isinstance(node, And | Or):
        for part in node.parts:
            yield from leaves(part)
    else:
        yield node


def all_of(parts: list[Node]) -> Node:
    """And, flat; a single part is itself."""
    flat = [q for p in parts for q in (p.parts if isinstance(p, And) else (p,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(parts: list[Node]) -> Node:
    """Or, flat; a single part is itself."""
    flat = [q for p in parts for q in (p.parts if isinstance(p, Or) else (p,))]
    return flat[0] if len(flat) == 1 else Or(tuple(flat))
