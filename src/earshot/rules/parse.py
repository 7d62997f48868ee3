"""Text to tree, with errors that point at the place and say what to do."""

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from earshot.errors import RuleSyntaxError
from earshot.model.tokens import is_unspaced, terms
from earshot.rules.grammar import (
    ALIASES,
    HAS,
    IS,
    MAX_DEPTH,
    MAX_DISTANCE,
    MAX_LENGTH,
    MAX_PREFIX,
    OPERATORS,
    RANGES,
    SENTIMENTS,
    VALUE_ALIASES,
    Piece,
)
from earshot.rules.nodes import (
    Field,
    Near,
    Node,
    Not,
    Phrase,
    Prefix,
    Range,
    Sample,
    Word,
    all_of,
    any_of,
)

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PIECES: Final = re.compile(
    rf"""(?P<space>\s+)
    |(?P<operator>[A-Za-z_]+:(?:{_QUOTED}|[^\s()"]*))
    |(?P<phrase>{_QUOTED}(?:~[^\s()"]*)?)
    |(?P<quote>")
    |(?P<open>\()|(?P<close>\))
    |(?P<minus>-)
    |(?P<word>[^\s()"]+)""",
    re.VERBOSE | re.DOTALL,
)
_RANGE: Final = re.compile(r"(?P<low>-?\d{1,18})?(?P<dots>\.\.)(?P<high>-?\d{1,18})?")
_BOUND: Final = re.compile(r"(?P<sign>>=|<=|>|<|)(?P<n>-?\d{1,18})")


@lru_cache(maxsize=65536)
def parse(text: str) -> Node:
    """Read an expression.

    Raises:
        RuleSyntaxError: It cannot be read; `at` and `length` say where, in characters.
    """
    if len(text) > MAX_LENGTH:
        rest = Piece("", text, MAX_LENGTH, len(text) - MAX_LENGTH)
        message = f"the rule has {len(text)} characters; {MAX_LENGTH} are allowed"
        raise _error(rest, message, "split it into several rules")
    return _Parser(text).rule()


def pieces(text: str) -> list[Piece]:
    """Cut an expression into its pieces."""
    found = []
    for match in _PIECES.finditer(text):
        kind = str(match.lastgroup)
        at, piece = match.start(), match[0]
        if kind == "quote":
            rest = Piece("", text, at, len(text) - at)
            raise _error(rest, "this quote is not closed", 'add a " at the end')
        if kind == "word" and piece in {"AND", "OR", "NOT"}:
            kind = piece
        if kind != "space":
            found.append(Piece(kind, piece, at, len(piece)))
    return found


class _Parser:
    """Recursive descent over the pieces; one method for each line of the grammar."""

    def __init__(self, text: str) -> None:
        self.text, self.pieces, self.next, self.depth = text, pieces(text), 0, 0

    def rule(self) -> Node:
        if not self.pieces:
            whole = Piece("", self.text, 0, len(self.text))
            hint = 'write what to listen for, e.g. coffee "flat white" lang:en'
            raise _error(whole, "the rule is empty", hint)
        node = self.any()
        if (piece := self.peek()) is not None:
            raise _error(piece, "there is no '(' that this ')' closes", "remove it")
        return node

    def peek(self) -> Piece | None:
        return self.pieces[self.next] if self.next < len(self.pieces) else None

    def any(self) -> Node:
        parts = [self.all()]
        while (piece := self.peek()) is not None and piece.kind == "OR":
            self.next += 1
            self.expect_part(piece)
            parts.append(self.all())
        return any_of(parts)

    def all(self) -> Node:
        parts = [self.part()]
        while (piece := self.peek()) is not None and piece.kind not in {"OR", "close"}:
            if piece.kind == "AND":
                self.next += 1
                self.expect_part(piece)
            parts.append(self.part())
        return all_of(parts)

    def expect_part(self, operator: Piece) -> None:
        """Refuse an operator with nothing behind it."""
        piece = self.peek()
        if piece is None or piece.kind in {"AND", "OR", "close"}:
            raise _error(
                operator,
                f"nothing stands behind this {operator.text}",
                f'add what it is for, or put it in quotes to find the word: "{operator.text}"',
            )

    def part(self) -> Node:
        piece = self.pieces[self.next]
        self.next += 1
        if piece.kind in {"AND", "OR"}:
            hint = f'or put it in quotes to find the word: "{piece.text}"'
            raise _error(piece, f"nothing stands before this {piece.text}", hint)
        if piece.kind == "close":
            raise _error(piece, "there is no '(' that this ')' closes", "remove it")
        if piece.kind not in {"open", "minus", "NOT"}:
            return _leaf(piece)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _error(piece, f"more than {MAX_DEPTH} levels of groups", "flatten the rule")
        node = self.group(piece) if piece.kind == "open" else Not(self.negated(piece))
        self.depth -= 1
        return node

    def group(self, opened: Piece) -> Node:
        piece = self.peek()
        if piece is not None and piece.kind == "close":
            whole = opened._replace(length=piece.at + 1 - opened.at)
            raise _error(whole, "this group is empty", "write something in it, or remove it")
        if piece is not None:
            node = self.any()
            if (piece := self.peek()) is not None:
                self.next += 1
                return node
        rest = opened._replace(length=len(self.text) - opened.at)
        raise _error(rest, "this group is not closed", "add a ) at its end")

    def negated(self, sign: Piece) -> Node:
        piece = self.peek()
        if sign.kind == "minus" and (piece is None or piece.at > sign.at + 1):
            raise _error(sign, "nothing stands directly behind this -", "write -word, no space")
        if sign.kind == "NOT":
            self.expect_part(sign)
        return self.part()


def _error(piece: Piece, message: str, hint: str) -> RuleSyntaxError:
    return RuleSyntaxError(message, at=piece.at, length=piece.length, hint=hint)


def _leaf(piece: Piece) -> Node:
    if piece.kind == "operator":
        return _operator(piece)
    if piece.kind == "phrase":
        return _phrase(piece)
    word, starred = piece.text.removesuffix("*"), piece.text.endswith("*")
    if "*" in word or not word:
        raise _error(piece, "'*' may only stand at the end of a word", "write the beginning: demo*")
    tokens = terms(word)
    if not tokens:
        hint = f'to find a link, write url:"{word}"' if "." in word else "remove it"
        raise _error(piece, f"'{word}' holds no word that can be found", hint)
    if not starred:
        return Word(word)
    if len(tokens) > 1 and not all(map(is_unspaced, tokens)):
        raise _error(
            piece, f"'{word}' is several words ({', '.join(tokens)})", "use one word and *"
        )
    if len(tokens[0]) > MAX_PREFIX:
        raise _error(piece, f"a prefix has at most {MAX_PREFIX} characters", "shorten it")
    return Prefix(word)


def _phrase(piece: Piece) -> Node:
    quoted, _, distance = piece.text.rpartition("~")
    if not quoted.endswith('"') or len(quoted) < 2 or '"' in distance:
        quoted, distance = piece.text, ""
    near = quoted != piece.text
    text = unquote(quoted)
    tokens = terms(text)
    if not tokens:
        raise _error(piece, "there is no word between these quotes", "write what is to be found")
    if not near:
        return Phrase(text)
    if not distance.isascii() or not distance.isdigit() or not 1 <= int(distance) <= MAX_DISTANCE:
        at = piece.at + len(quoted)
        place = Piece("", distance, at, len(distance) + 1)
        hint = f'write a number from 1 to {MAX_DISTANCE}: "flat white"~5'
        raise _error(place, "the distance behind ~ is not one that can be used", hint)
    if len(set(tokens)) < 2:
        raise _error(piece, "a distance needs at least two different words", 'e.g. "flat white"~5')
    return Near(text, int(distance))


def unquote(quoted: str) -> str:
    """What stands between quotes."""
    return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)


def _operator(piece: Piece) -> Node:
    written, _, raw = piece.text.partition(":")
    name = ALIASES.get(written.lower(), written.lower())
    value = unquote(raw) if raw.startswith('"') else raw
    named = Piece("", written, piece.at, len(written) + 1)
    valued = Piece("", value, piece.at + len(written) + 1, max(1, len(raw)))
    if name not in OPERATORS:
        raise _error(named, f"there is no operator '{written}:'", _hint_for(written, piece.text))
    if not value.strip():
        raise _error(
            named, f"'{name}:' has no value", f"write it directly behind: {_EXAMPLES[name]}"
        )
    if name in RANGES:
        return _range(name, valued)
    if name == "sample":
        return _sample(valued)
    return Field(name, _checked(name, value, valued))


_EXAMPLES: Final = {
    "from": "from:alice", "to": "to:alice", "url": "url:example.com/page", "lang": "lang:en",
    "domain": "domain:example.com", "country": "country:US", "place": 'place:"New York"',
    "source": "source:bluesky", "conversation": "conversation:123", "channel": "channel:news",
    "bio": "bio:journalist", "has": "has:links", "is": "is:reply", "sample": "sample:10",
    "sentiment": "sentiment:negative", "emotion": "emotion:joy", "entity": 'entity:"Ada Lovelace"',
    "min_confidence": "min_confidence:0.8", **{name: f"{name}:10.." for name in RANGES},
}  # fmt: skip


def _hint_for(name: str, text: str) -> str:
    if near := get_close_matches(name.lower(), [*OPERATORS, *ALIASES], n=1):
        return f"did you mean '{near[0]}:'?"
    if name.lower() in {"http", "https"}:
        return f'to find a link, write url:"{text}"'
    return f'to find the words, put them in quotes: "{text}"'


def _checked(name: str, value: str, place: Piece) -> str:
    """The value in the form in which it is compared and written."""
    if name in {"has", "is", "sentiment"}:
        return _choice(name, value, place)
    if name == "min_confidence":
        if not re.fullmatch(r"0(\.\d{1,6})?|1(\.0{1,6})?", value):
            raise _error(place, f"'{value}' is no confidence", "write a number from 0 to 1: 0.8")
        return value
    if name == "lang":
        if not re.fullmatch(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]+)*", value):
            raise _error(place, f"'{value}' is no language", "write its short name: lang:en")
        return re.split("[-_]", value.lower())[0]
    if name == "country":
        if not re.fullmatch(r"[A-Za-z]{2}", value):
            raise _error(place, f"'{value}' is no country", "write its two letters: country:US")
        return value.upper()
    if name in {"bio", "place"} and not terms(value):
        raise _error(place, f"'{value}' holds no word that can be found", _EXAMPLES[name])
    return _folded(name, value, place)


def _folded(name: str, value: str, place: Piece) -> str:
    folded = value.strip()
    if name == "domain":
        folded = re.sub(r"^(https?://)?(www\.)?|/$", "", folded.lower())
    elif name in {"from", "to"}:
        folded = folded.removeprefix("@")
    elif name in {"source", "channel", "url", "emotion"}:
        folded = folded.lower()
    if not folded:
        raise _error(place, f"'{name}:' has no value", f"e.g. {_EXAMPLES[name]}")
    return folded


def _choice(name: str, value: str, place: Piece) -> str:
    choices = {"has": HAS, "is": IS, "sentiment": SENTIMENTS}[name]
    folded = VALUE_ALIASES.get((name, value.lower()), value.lower())
    if folded in choices:
        return folded
    near = get_close_matches(folded, choices, n=1)
    hint = f"did you mean {name}:{near[0]}?" if near else f"one of: {', '.join(choices)}"
    raise _error(place, f"'{name}:' does not know '{value}'", hint)


def _range(name: str, place: Piece) -> Range:
    hint = f"write {name}:10, {name}:10..20, {name}:10.., {name}:..20 or {name}:>=10"
    low: int | None
    high: int | None
    if m := _RANGE.fullmatch(place.text):
        low, high = (int(m[g]) if m[g] else None for g in ("low", "high"))
    elif m := _BOUND.fullmatch(place.text):
        low, high = _bounds(m["sign"], int(m["n"]))
    else:
        raise _error(place, f"'{place.text}' is no range of numbers", hint)
    if low is None and high is None:
        raise _error(place, "this range has no bound", hint)
    if low is not None and high is not None and low > high:
        raise _error(place, f"no number lies in {place.text}", f"write {name}:{high}..{low}")
    return Range(name, low, high)


def _bounds(sign: str, n: int) -> tuple[int | None, int | None]:
    return {
        "": (n, n),
        ">=": (n, None),
        ">": (n + 1, None),
        "<=": (None, n),
        "<": (None, n - 1),
    }[sign]


def _sample(place: Piece) -> Sample:
    text = place.text.removesuffix("%")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100:
        raise _error(place, f"'{place.text}' is no percentage", "write a number from 1 to 100")
    return Sample(int(text))
