"""Trees to tables: every expression once, as a program and the terms that call for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from earshot.clock import micros
from earshot.model.hashing import buffers, hash_strings, hash_text
from earshot.model.rule import RuleVersion
from earshot.model.tokens import is_unspaced, terms_of
from earshot.rules import match_kernel as op
from earshot.rules.fields import SINGLE, TEXTS, Column, features_of
from earshot.rules.grammar import LATE
from earshot.rules.nodes import (
    And,
    Field,
    Near,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Range,
    Sample,
    Word,
    leaves,
)
from earshot.rules.parse import parse
from earshot.rules.rarity import ALL, OFTEN, how_often

FOREVER: Final = np.iinfo(np.int64).max
MARKED: Final = frozenset({Field("is", "copy"), Field("is", "late")})
"""Columns of which a batch alone does not tell."""


@dataclass(frozen=True, slots=True)
class Expressions:
    """Compiled expressions, numbered in the order given; arrays as the kernel takes them."""

    table: tuple[
        NDArray[np.uint64],
        NDArray[np.int32],
        NDArray[np.int64],
        NDArray[np.int32],
        NDArray[np.int32],
    ]
    """Terms (keys, values); the expressions that each calls for (ends, places in `programs`); those
    that no term calls for: they are tried on every post."""
    programs: NDArray[np.int32]
    """Of each expression its number, then its steps (see `match_kernel`) up to END."""
    many: int
    """Number of expressions."""
    patterns: tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]
    """Ends by pattern, hashes of terms, spans; -1 is a phrase."""
    prefix_lengths: int
    """Bit n: a prefix of n characters occurs."""
    sieve: NDArray[np.uint8]
    """Of the prefixes, see `match_kernel.sieved`."""
    single: tuple[str, ...]
    """Features that occur, see `fields.SINGLE`."""
    domains: bool
    urls: tuple[str, ...]
    columns: tuple[Column, ...]
    texts: tuple[tuple[str, tuple[str, ...], "Expressions"], ...]
    """(field, values, the phrases of these values) for each of `fields.TEXTS` that occurs."""


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """All versions of all rules; equal expressions are kept once."""

    expressions: Expressions
    version_ends: NDArray[np.int64]
    """Versions of expression e are `versions[version_ends[e]:version_ends[e + 1]]`."""
    versions: NDArray[np.int64]
    """Places in the next four, which are in order of rule and version."""
    rule: NDArray[np.int64]
    version: NDArray[np.int64]
    active_from: NDArray[np.int64]
    """Microseconds."""
    active_until: NDArray[np.int64]
    late: frozenset[tuple[int, int]]
    """(rule, version) of those that depend on what enrichment finds."""

    @property
    def marks(self) -> bool:
        """Whether any depends on what is known of other posts: `is:copy`, `is:late`."""
        return any(isinstance(c, Field) and c in MARKED for c in self.expressions.columns)


def compile_rules(versions: Sequence[RuleVersion]) -> CompiledRules:
    """Compile every version of every rule; some seconds for 25,000.

    Raises:
        RuleSyntaxError: A rule cannot be read (it was checked when it was saved).
    """
    versions = sorted(versions, key=lambda v: (v.rule, v.version))
    numbers: dict[Node, int] = {}
    of = np.array([numbers.setdefault(parse(v.text), len(numbers)) for v in versions], np.int64)
    order = np.argsort(of, kind="stable")
    ends = np.zeros(len(numbers) + 1, np.int64)
    np.cumsum(np.bincount(of, minlength=len(numbers)), out=ends[1:])
    return CompiledRules(
        expressions=compile_expressions(list(numbers)),
        version_ends=ends,
        versions=order,
        rule=np.array([v.rule for v in versions], np.int64),
        version=np.array([v.version for v in versions], np.int64),
        active_from=np.array([micros(v.active_from) for v in versions], np.int64),
        active_until=np.array(
            [FOREVER if v.active_until is None else micros(v.active_until) for v in versions],
            np.int64,
        ),
        late=frozenset((v.rule, v.version) for v in versions if is_late(parse(v.text))),
    )


def is_late(node: Node) -> bool:
    """Whether what enrichment finds decides about this expression."""
    return any(isinstance(x, Field) and x.name in LATE for x in leaves(node))


def compile_expressions(nodes: Sequence[Node]) -> Expressions:
    """Compile expressions; their numbers are their places in `nodes`."""
    builder = _Builder(_read(nodes))
    for node in nodes:
        builder.add(node)
    return builder.finish()


def _read(nodes: Iterable[Node]) -> dict[str, list[str]]:
    """The tokens of every text in the expressions, all cut at once."""
    texts = {
        leaf.text: None
        for node in nodes
        for leaf in leaves(node)
        if isinstance(leaf, Word | Phrase | Near | Prefix)
    }
    return dict(zip(texts, terms_of(list(texts)), strict=True))


Anchor = tuple[list[int], float]
"""Terms of which a matching post has at least one, and how often a post has one."""


@dataclass(slots=True)
class _Builder:
    """Collects terms, patterns, columns and programs."""

    tokens: dict[str, list[str]]
    hashes: dict[str, int] = field(default_factory=dict)
    terms: dict[int, int] = field(default_factory=dict)
    often: list[float] = field(default_factory=list)
    patterns: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    columns: dict[Column, int] = field(default_factory=dict)
    single: set[str] = field(default_factory=set)
    parts: dict[str, dict[str, None]] = field(default_factory=dict)
    prefixes: dict[str, int] = field(default_factory=dict)
    keys: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    anchors: list[tuple[int, list[int] | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        words = list({t: None for tokens in self.tokens.values() for t in tokens})
        hashes = hash_strings(pl.Series(words, dtype=pl.String)).tolist()
        self.hashes = dict(zip(words, hashes, strict=True))

    def add(self, node: Node) -> None:
        """Compile one expression."""
        start = len(self.steps)
        self.steps.append(len(self.anchors))
        anchor = self.emit(node)
        self.step(op.END)
        self.anchors.append((start, None if anchor is None else anchor[0]))

    def emit(self, node: Node) -> Anchor | None:  # noqa: PLR0911 - one for each kind of node
        """Append the program of `node`; None: posts without any term may match."""
        match node:
            case Not(part):
                self.emit(part)
                self.step(op.NOT)
                return None
            case And(parts):
                found = [a for a in self.emit_all(parts, op.AND) if a is not None]
                return min(found, key=lambda a: a[1], default=None)
            case Or(parts):
                return _union(self.emit_all(parts, op.OR))
            case Range() | Sample():
                self.column(node)
                return None
            case Field():
                return self.field(node)
            case Word(text) | Phrase(text):
                return self.phrase(self.tokens[text])
            case Near(text, distance):
                return self.near(self.tokens[text], distance)
            case Prefix(text):
                tokens = self.tokens[text]
                if is_unspaced(tokens[0]):
                    return self.phrase(tokens)
                return self.term(self.prefix(tokens[0]))

    def emit_all(self, parts: Sequence[Node], joint: int) -> list[Anchor | None]:
        """Append the programs of a group, those that decide about it soonest first."""
        pieces = []
        for part in parts:
            start = len(self.steps)
            pieces.append((self.emit(part), self.steps[start:]))
            del self.steps[start:]
        found = [anchor for anchor, _ in pieces]
        self.join([steps for _, steps in sorted(pieces, key=_deciding(found, joint))], joint)
        return found

    def join(self, pieces: Sequence[list[int]], joint: int) -> None:
        """Append the parts of a group; whatever decides about it leaves the rest out."""
        rest = sum(len(steps) + 1 for steps in pieces) - 1
        for steps in pieces:
            self.steps += steps
            rest -= len(steps) + 1
            if rest > 0:
                self.step(joint, rest)

    def step(self, code: int, argument: int = 0) -> None:
        self.steps.append(argument << op.CODE_BITS | code)

    def number(self, key: int, often: float) -> int:
        """The number of the term with this hash."""
        if (number := self.terms.setdefault(key, len(self.often))) == len(self.often):
            self.often.append(often)
            self.keys.append(key)
        return number

    def term(self, number: int) -> Anchor:
        self.step(op.TERM, number)
        return [number], self.often[number]

    def word(self, token: str) -> int:
        return self.number(self.hashes[token], how_often(token))

    def prefix(self, start: str) -> int:
        if (number := self.prefixes.get(start)) is None:
            key = hash_text(start + chr(op.PREFIX_MARK))
            number = self.prefixes[start] = self.number(key, 4 * how_often(start))
        return number

    def last(self, token: str) -> int:
        """A single character of an unspaced script is found anywhere in a run."""
        single = len(token) == 1 and is_unspaced(token)
        return self.prefix(token) if single else self.word(token)

    def phrase(self, tokens: list[str]) -> Anchor:
        if len(tokens) == 1:
            return self.term(self.last(tokens[0]))
        return self.pattern([*map(self.word, tokens[:-1]), self.last(tokens[-1])], -1)

    def near(self, tokens: list[str], distance: int) -> Anchor:
        several = list(dict.fromkeys(tokens))
        return self.pattern([self.last(t) for t in several], distance + len(several) - 1)

    def pattern(self, numbers: list[int], span: int) -> Anchor:
        found = (span, tuple(self.keys[n] for n in numbers))
        rarest = min(numbers, key=lambda n: self.often[n])
        there = [[n << op.CODE_BITS | op.TERM] for n in dict.fromkeys(numbers) if n != rarest]
        place = self.patterns.setdefault(found, len(self.patterns))
        self.join([*there, [place << op.CODE_BITS | op.PATTERN]], op.AND)
        return [rarest], self.often[rarest]

    def column(self, predicate: Column) -> None:
        self.step(op.COLUMN, self.columns.setdefault(predicate, len(self.columns)))

    def field(self, node: Field) -> Anchor | None:
        if (keys := features_of(node)) is None:
            self.column(node)
            return None
        if node.name in {"from", "to"}:
            names = ("handle", "author") if node.name == "from" else ("to_handle", "to_author")
            self.single.update(names)
        elif node.name in SINGLE:
            self.single.add(node.name)
        else:
            self.parts.setdefault(node.name, {})[node.value] = None
        found: list[Anchor | None] = []
        for left, key in zip(reversed(range(len(keys))), keys, strict=True):
            found.append(self.term(self.number(key, OFTEN[node.name])))
            if left:
                self.step(op.OR, 2 * left - 1)
        return _union(found)

    def finish(self) -> Expressions:
        """The tables."""
        keys, values = _table(self.keys)
        called: list[list[int]] = [[] for _ in self.terms]
        for start, anchor in self.anchors:
            for t in anchor or ():
                called[t].append(start)
        anchor_ends, anchors = _rows(called)
        always = [start for start, anchor in self.anchors if anchor is None]
        patterns = list(self.patterns)
        pattern_ends, pattern_terms = _rows([terms for _, terms in patterns], np.uint64)
        texts = tuple(
            (name, tuple(values), compile_expressions([Phrase(v) for v in values]))
            for name, values in self.parts.items()
            if name in TEXTS
        )
        return Expressions(
            table=(keys, values, anchor_ends, anchors, np.array(always, np.int32)),
            programs=np.array(self.steps, np.int32),
            many=len(self.anchors),
            patterns=(pattern_ends, pattern_terms, np.array([s for s, _ in patterns], np.int64)),
            prefix_lengths=sum({1 << len(start) for start in self.prefixes}),
            sieve=op.sieved(*buffers(pl.Series(list(self.prefixes), dtype=pl.String))),
            single=tuple(sorted(self.single)),
            domains="domain" in self.parts,
            urls=tuple(self.parts.get("url", ())),
            columns=tuple(self.columns),
            texts=texts,
        )


Piece = tuple[Anchor | None, list[int]]


def _deciding(found: Sequence[Anchor | None], joint: int) -> Callable[[Piece], tuple[bool, float]]:
    """The order of a group's parts: patterns cost most, so they come last.

    All of several fail by what is rare, but for the rarest: it called for the expression, so that
    it is there. Any of several is met by what is frequent.
    """
    rarest = min((often for _, often in filter(None, found)), default=0.0)

    def order(piece: Piece) -> tuple[bool, float]:
        anchor, steps = piece
        often = ALL if anchor is None or anchor[1] == rarest else anchor[1]
        dear = any(step & 7 == op.PATTERN for step in steps)
        return dear, often if joint == op.AND else -often

    return order


def _union(found: Sequence[Anchor | None]) -> Anchor | None:
    """Terms that call for any of several; None where one of these has none."""
    known = [a for a in found if a is not None]
    if len(known) < len(found):
        return None
    return sorted({t for terms, _ in known for t in terms}), sum(often for _, often in known)


def _table(hashes: list[int]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Open addressing at a load of at most a third."""
    size = 1 << max(4, (3 * len(hashes)).bit_length())
    keys, values = [0] * size, [0] * size
    for number, key in enumerate(hashes):
        i = key & (size - 1)
        while keys[i]:
            i = (i + 1) & (size - 1)
        keys[i], values[i] = key, number
    return np.array(keys, np.uint64), np.array(values, np.int32)


def _rows(
    rows: Sequence[Sequence[int]], kind: type[Any] = np.int32
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Ragged rows as ends and values."""
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(r) for r in rows], out=ends[1:])
    return ends, np.array([x for r in rows for x in r], kind)
