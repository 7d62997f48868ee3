"""Ways to break a record: its bytes, or what it says. Each takes chance and gives bytes."""

# ruff: noqa: E501 - many kinds of junk in few lines

import copy
import json
import random
from collections.abc import Callable
from typing import Any

Rng = random.Random
RAW = "\u241araw"
"""Marks texts that stand for a piece of JSON which Python would not write."""

PIECES = (
    "1" + "0" * 400, "1e400", "-1e400", "1e-400", "-0", "-0.0", "NaN", "Infinity", "01", "1.", "0x1",
    "18446744073709551616", "9223372036854775808", "-9223372036854775809", "1.0", "1e3", "1E+2",
    r'"\ud800"', r'"\udc00\ud800"', r'"a\ud83d"', r'"\u0000"', r'"a\u0000b"', r'"\x41"', '"\t"',
    "tru", "nulll", "'a'", "", ",", "[1,]", '{"a":}', "undefined", "1_000", "٣",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 2**31, 2**53 + 1, 2**63 - 1, 10**30, "", " ", "0", "null", "🦉",
    [], {}, [[]], [None], [{}], {"": None}, {"$type": 5}, ["a", 1, None, {}], {"a": {"b": ["c"]}},
    "\u202e\u0301\ufeff", "a" * 5_000, "#" * 300, "@a " * 400, "http://" + "a" * 3_000, "漢" * 3_000,
)  # fmt: skip
TIMES: tuple[Any, ...] = (
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "-0001-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z", "2026-02-30T25:61:61Z", "2026-01-01", "2026-01-01T00:00:00", "now",
    "2026-01-01T00:00:00+99:99", "Thu Jan 01 00:00:00 +0000 0000", "Foo Bar 99 99:99:99 +0000 2026",
    "1969-12-31T23:59:59.999999999Z", 0, -1, 253402300800, 253402300800000, 1e18, -(2**63), "1e400",
    10**18, -62135596801, 1767268799.5, "1767268799",
)  # fmt: skip


# -- what a record says ------------------------------------------------------------------------
def said_otherwise(raw: bytes, rng: Rng) -> bytes:
    """Change one to three places of the tree."""
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError):
        return flipped(raw, rng)
    for _ in range(rng.randint(1, 3)):
        tree = _changed(tree, rng)
    return _written(tree)


def _changed(tree: Any, rng: Rng) -> Any:
    places = list(_places(tree))
    if not places:
        return _anything(tree, rng)
    inside, key = rng.choice(places)
    if isinstance(inside, dict) and rng.random() < 0.25:
        _other_keys(inside, key, rng)
    else:
        inside[key] = _anything(inside[key], rng)
    return tree


def _places(tree: Any) -> Any:
    """(container, key) of everything in it."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])


def _anything(old: Any, rng: Rng) -> Any:
    """Something else than a network would write here."""
    ways: tuple[Callable[[], Any], ...] = (
        lambda: copy.deepcopy(rng.choice(VALUES)),
        lambda: RAW + rng.choice(PIECES),
        lambda: rng.choice(TIMES),
        lambda: [old] * rng.randint(0, 3),
        lambda: {"data": old, "status": old},
        lambda: str(old)[:200],
        lambda: float(old) if isinstance(old, int) and abs(old) < 2**60 else {"0": old},
        lambda: old[0] if isinstance(old, list) and old else [],
        lambda: RAW + _nested(rng.choice((50, 130, 600, 10_000)), rng),
    )
    return rng.choice(ways)()


def _other_keys(inside: dict[str, Any], key: str, rng: Rng) -> None:
    """Leave a key out, name it otherwise, or say it twice."""
    match rng.randrange(4):
        case 0:
            del inside[key]
        case 1:
            inside[rng.choice((key.upper(), key + "\0", "", "id", "id_str", "kind"))] = inside.pop(
                key
            )
        case 2:
            inside[RAW + key] = _anything(inside[key], rng)
        case _:
            inside.update({f"k{n}": n for n in range(rng.choice((10, 2_000)))})


def _nested(depth: int, rng: Rng) -> str:
    opens, closes = rng.choice((("[", "]"), ('{"a":', "}"), ('{"data":', "}")))
    return opens * depth + "1" + closes * rng.choice((depth, depth, depth - 1))


def _written(tree: Any) -> bytes:
    """As JSON, with raw pieces put in as they are and doubled keys doubled."""
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    parts = text.split('"' + RAW)
    done = [parts[0]]
    for part in parts[1:]:
        token, after = _token(part)
        doubled = after.startswith(":")
        done.append((json.dumps(token) if doubled else token) + after)
    return "".join(done).encode("utf-8", "surrogatepass")


def _token(part: str) -> tuple[str, str]:
    """The text up to its closing quote, and what follows."""
    at = 0
    while part[at] != '"':
        at += 2 if part[at] == "\\" else 1
    token: str = json.loads(f'"{part[:at]}"')
    return token, part[at + 1 :]


# -- its bytes ---------------------------------------------------------------------------------
def flipped(raw: bytes, rng: Rng) -> bytes:
    """Some bits the other way."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 5) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(raw: bytes, rng: Rng) -> bytes:
    """Not whole."""
    at = rng.randrange(len(raw) + 1)
    return raw[:at] if rng.random() < 0.7 else raw[at:]


def sprinkled(raw: bytes, rng: Rng) -> bytes:
    """With bytes that do not belong, also where a text is."""
    odd = (
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\x00",
        b"\x1a",
        b"\xef\xbb\xbf",
    )
    odd += (
        b"\n",
        b"\r",
        b"\x1f",
        b"\\",
        b'"',
        b"\\u",
        b"\xe2\x80\xa8",
        b"\\ud800",
        b"\\u0000",
        b"//",
    )
    texts = [i for i, byte in enumerate(raw) if byte == 0x22] or [0]
    at = rng.choice((rng.randrange(len(raw) + 1), rng.choice(texts) + 1))
    return raw[:at] + rng.choice(odd) * rng.randint(1, 3) + raw[at:]


def smuggled(raw: bytes, rng: Rng) -> bytes:
    """More than one value, or what could end the frame that a reader puts around it."""
    between = rng.choice(
        (b",", b"", b"\n", b"},{", b"]},{", b" , ", b"}", b"]", b',{"n":1,"r":', b"\0")
    )
    other = rng.choice((raw, b"{}", b"null", b"1", b"", b'{"n":0}', b"[]"))
    return raw + between + other if rng.random() < 0.7 else other + between + raw


def wrapped(raw: bytes, rng: Rng) -> bytes:
    """Inside of something."""
    names = (b"data", b"status", b"tweet", b"payload", b"record", b"errors", b"includes", b"")
    for _ in range(rng.choice((1, 1, 2, 3, 40, 200))):
        name = rng.choice(names)
        raw = b"[%b]" % raw if rng.random() < 0.2 else b'{"%b":%b}' % (name, raw)
    return raw


def hollow(raw: bytes, rng: Rng) -> bytes:
    """Nothing, or hardly anything."""
    del raw
    return rng.choice(
        (b"", b" ", b"\n", b"\0", b"null", b"{}", b"[]", b"[[]]", b"0", b'""', b'"a"', b"true", b"{", b"}",
         b"\xef\xbb\xbf", b"\xef\xbb\xbf{}", b",", b"}{", b"]", b'{"":""}', b"\xff\xfe{\0}\0")
    )  # fmt: skip


def spaced(raw: bytes, rng: Rng) -> bytes:
    """With a byte order mark, or blanks around it."""
    around = rng.choice(
        (b"\xef\xbb\xbf", b"  ", b"\r\n", b"\t", b"\x0b", b"\xc2\xa0", b" " * 5_000)
    )
    return rng.choice((around + raw, raw + around, around + raw + around))


def deep(raw: bytes, rng: Rng) -> bytes:
    """Nested deeper than anybody reads."""
    depth = rng.choice((100, 129, 1_000, 10_000))
    opens, closes = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return opens * depth + raw + closes * rng.choice((0, depth))


def noise(raw: bytes, rng: Rng) -> bytes:
    """Anything at all."""
    return rng.randbytes(rng.randrange(min(len(raw), 300) + 1))


def huge(raw: bytes, rng: Rng) -> bytes:
    """A line of ten megabytes."""
    size = 10_000_000
    filling = rng.choice(
        (b"a" * size, b"a " * (size // 2), "漢".encode() * (size // 3), b"\\u0061" * (size // 6))
    )
    body = rng.choice((b'{"text":"%b"}', b'{"id":"1","text":"%b"', b'[{"a":"%b"}]', b"%b"))
    texts = raw.find(b'"text":"')
    if texts >= 0 and rng.random() < 0.7:
        return raw[: texts + 8] + filling + raw[texts + 8 :]
    return body % filling


WAYS: tuple[tuple[float, Callable[[bytes, Rng], bytes]], ...] = (
    (40, said_otherwise), (10, flipped), (8, cut), (8, sprinkled), (6, smuggled), (4, wrapped),
    (2, hollow), (2, spaced), (0.5, deep), (1, noise), (0.002, huge),
)  # fmt: skip
GOOD = 18.5
"""The weight of records that are left as they are, beside that of `WAYS`."""


def broken(raw: bytes, rng: Rng) -> bytes:
    """The record as a hostile or broken network might send it; now and then it is good."""
    weights = [GOOD, *(weight for weight, _ in WAYS)]
    way = rng.choices(range(len(weights)), weights)[0]
    return raw if way == 0 else WAYS[way - 1][1](raw, rng)
