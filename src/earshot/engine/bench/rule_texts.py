"""Expressions of the shapes that people write, drawn from a vocabulary."""

import random
from collections.abc import Sequence
from typing import Final

LANGS: Final = ("en", "es", "ja", "pt")
SYLLABLES: Final = tuple(a + b for a in "bdfgklmnprstvz" for b in "aeiou")


def coined(n: int, *, seed: int) -> list[str]:
    """`n` names that nobody bears."""
    draw = random.Random(seed)  # noqa: S311 - no secret, but the same each time
    return ["".join(draw.choices(SYLLABLES, k=draw.randint(4, 5))) for _ in range(n)]


def rule_texts(n: int, words: Sequence[str], *, seed: int, names: Sequence[str] = ()) -> list[str]:
    """`n` expressions, mostly of rarer words.

    A quarter single terms, then pairs, groups, alternatives, negations and languages.

    Args:
        n: How many.
        words: By falling frequency.
        seed: The same seed and words give the same expressions.
        names: Further words, as rare as the rarest.
    """
    draw = random.Random(seed)  # noqa: S311 - no secret, but the same each time
    rare = [*(words[len(words) // 4 :] or words), *names]

    def atom() -> str:
        word = draw.choice(rare)
        shape = draw.random()
        if shape < 0.75:
            return word
        if shape < 0.85:
            return f'"{draw.choice(words)} {word}"'
        if shape < 0.95:
            return f"#{word}"
        return f"{word[: max(4, len(word) - 2)]}*"

    def expression() -> str:
        shape = draw.random()
        if shape < 0.25:
            return atom()
        if shape < 0.5:
            return f"{atom()} {draw.choice(words)}"
        if shape < 0.7:
            return f"{atom()} ({' OR '.join(draw.choice(words) for _ in range(3))})"
        if shape < 0.85:
            return " OR ".join(atom() for _ in range(draw.randint(2, 4)))
        either = " OR ".join(atom() for _ in range(3))
        return f"({either}) -({atom()} OR {atom()}) lang:{draw.choice(LANGS)}"

    return [expression() for _ in range(n)]
