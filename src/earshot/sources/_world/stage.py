"""Rows of a scene with all that networks show of them, and the laying out of their texts."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import noise, text
from earshot.sources._world.noise import I64
from earshot.sources._world.plot import QUOTE, REPOST, Rows, Scene, fame

_PLACEHOLDER: Final = re.compile(r"\$(\w+)\$")
_PROFILE: Final = ("did", "handle", "name", "bio", "number", "city", "country", "lat", "lon")
_SHOWN: Final = (*_PROFILE, "followers")


@lru_cache(maxsize=128)
def template(pattern: str) -> pl.Expr:
    """A text with columns in place of `$name$`; null where one of them is.

    Args:
        pattern: The text, `$name$` standing for a column; a lone `$` stands for itself.
    """
    parts = _PLACEHOLDER.split(pattern)
    exprs = [pl.col(p) if n % 2 else pl.lit(p) for n, p in enumerate(parts) if n % 2 or p]
    return pl.concat_str(exprs)


def if_any(pattern: str) -> pl.Expr:
    """`template`, but nothing where one of the columns is null."""
    return template(pattern).fill_null("")


def iso(column: str, micros: bool = False) -> pl.Expr:  # noqa: FBT001, FBT002 - reads well where used
    """A time as most networks write it, of a column of µs."""
    at = pl.from_epoch(pl.col(column), time_unit="us")
    return at.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ" if micros else "%Y-%m-%dT%H:%M:%S%.3fZ")


@dataclass(slots=True, eq=False)
class Stage:
    """A scene whose texts are written: those of the step, and those it shows again."""

    scene: Scene
    known: I64
    """Rows of the scene whose texts are there, in order."""
    texts: pl.DataFrame

    @classmethod
    def of(cls, scene: Scene) -> "Stage":
        """Write the texts."""
        here = np.arange(scene.first, len(scene.rows.at))
        kind = scene.rows.kind[scene.first :]
        shown = scene.target[(kind == QUOTE) | (kind == REPOST)]
        known = np.unique(np.concatenate([here, shown[shown >= 0]]))
        return cls(scene, known, text.compose(scene.people, scene.rows.take(known)))

    @property
    def now(self) -> Rows:
        """The rows of the step."""
        return self.scene.rows.take(slice(self.scene.first, None))

    def frame(self, rows: I64) -> pl.DataFrame:
        """What can be shown of some rows of the scene whose texts are known.

        Returns:
            row, at, seq, the author's profile, `text.compose`'s columns, the profile of who is
            mentioned as cc_…, fame, and hours of age as `age`, of now.
        """
        some = self.scene.rows.take(rows)
        texts = self.texts[np.searchsorted(self.known, rows)]
        profiles = self.scene.people.text
        author = profiles[some.person].select(_SHOWN)
        mentioned = profiles.select(pl.col(*_SHOWN).gather(texts["cc"]).name.prefix("cc_"))
        own = pl.DataFrame(
            {
                "row": rows,
                "at": some.at,
                "seq": some.seq,
                "uid": some.uid,
                "person": some.person,
                "fame": fame(some.uid),
                "chance": noise.unit(some.uid, 120),
            }
        )
        return pl.concat([own, author, texts, mentioned], how="horizontal")


def refer(stage: Stage, rows: I64, prefix: str) -> pl.DataFrame:
    """at, seq, uid and profile of rows that others refer to; nulls where `rows` is negative."""
    scene = stage.scene
    some = scene.rows.take(np.maximum(rows, 0))
    there = pl.Series(rows >= 0)
    frame = pl.concat(
        [
            pl.DataFrame({"at": some.at, "seq": some.seq, "uid": some.uid, "there": there}),
            scene.people.text[some.person].select(_SHOWN),
        ],
        how="horizontal",
    )
    kept = pl.all().exclude("there")
    return frame.select(pl.when("there").then(kept).name.prefix(prefix))


def lay_out(frame: pl.DataFrame, mention: str, link: str, *, in_bytes: bool) -> pl.DataFrame:
    """Put the whole text together and tell where its parts stand.

    Args:
        frame: With `prefix` (may be empty), body, tag1, tag2, url, and who is mentioned.
        mention: Column with the handle of who is mentioned.
        link: Column with the link as it stands in the text.
        in_bytes: Count UTF-8 bytes (Bluesky), else characters (X).

    Returns:
        The frame with `whole`, and `<part>_from`, `<part>_to` for tag1, tag2, link and cc.
    """

    def length(expr: pl.Expr) -> pl.Expr:
        counted = expr.str.len_bytes() if in_bytes else expr.str.len_chars()
        return counted.cast(pl.Int64)

    parts = {
        "tag1": template(" #$tag1$"),
        "tag2": template(" #$tag2$"),
        "link": template(f" ${link}$"),
        "cc": template(f" @${mention}$"),
    }
    laid = frame.with_columns(**{f"{name}_part": part for name, part in parts.items()})
    start = length(pl.col("prefix")) + length(pl.col("body"))
    places: dict[str, pl.Expr] = {}
    for name in parts:
        size = length(pl.col(f"{name}_part"))
        places[f"{name}_from"], places[f"{name}_to"] = start + 1, start + size
        start = start + size.fill_null(0)
    whole = pl.concat_str("prefix", "body", *(pl.col(f"{n}_part").fill_null("") for n in parts))
    return laid.with_columns(whole=whole, **places)


def joined(*patterns: str) -> pl.Expr:
    """Those of the patterns whose columns are there, with commas between them."""
    exprs = [template(p) for p in patterns]
    return pl.concat_str(exprs, separator=",", ignore_nulls=True)


def grown(share: float, age: pl.Expr) -> pl.Expr:
    """A counter: grows with fame and, ever slower, with age in seconds; never shrinks."""
    return (pl.col("fame") * share * (age.clip(0) / 60.0 + 0.02).sqrt()).floor().cast(pl.Int64)
