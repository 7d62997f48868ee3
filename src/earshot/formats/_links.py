"""Links made comparable: as written, expanded, canonical, and their domain."""

from typing import Final

import polars as pl

from earshot.model.schema import LINK

_TRACKING: Final = (
    r"(?i)[?&](?:utm_[a-z_]+|fbclid|gclid|dclid|gbraid|wbraid|msclkid|mc_[ce]id|igshid|igsh"
    r"|yclid|twclid|ttclid|_hs(?:enc|mi)|mkt_tok|ref_src|ref_url|vero_id|oly_(?:anon|enc)_id"
    r"|cmpid|ncid|s_cid|wt_mc)=[^&]*"
)
"""Parameters that say how somebody came to a page, never which page."""


def links(url: pl.Series, expanded: pl.Series | None = None) -> pl.Series:
    """A LINK of each.

    Args:
        url: As written.
        expanded: As the network expands it; null where it does not.
    """
    if not len(url):
        return _NONE
    target = url if expanded is None else expanded.zip_with(expanded.is_not_null(), url)
    given = pl.DataFrame([url.alias("url"), target.alias("expanded"), *_parts(target)])
    return given.select(_LINK)["links"]


_NONE: Final = pl.Series("links", [], LINK)


def canonical(url: pl.Series) -> pl.Series:
    """`url` without fragment and tracking parameters, its host in lower case."""
    return pl.DataFrame([*_parts(url)]).select(_PLAIN.alias(url.name)).to_series()


_PAGE: Final = pl.col("page")
_WITHOUT_FRAGMENT: Final = _PAGE.str.replace(r"(?s)#.*$", "").str.strip_chars()
_START: Final = _PAGE.str.extract(r"^([a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*|[^/?]*)").alias("start")
_SPLIT: Final = [
    pl.col("start").str.to_lowercase(),
    _PAGE.str.strip_prefix(pl.col("start")).alias("rest"),
]
_PLAIN: Final = (pl.col("start") + pl.col("rest")).str.strip_chars_end()
_HOST: Final = pl.col("start").str.extract(
    r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^@]*@)?(?:www\.)?([^:]+)"
)
_REAL: Final = _HOST.str.contains(".", literal=True) | (_HOST == "localhost")
_LINK: Final = pl.struct(
    "url", "expanded", canonical=_PLAIN, domain=pl.when(_REAL).then(_HOST)
).alias("links")
"""Of `url`, `expanded` and what `_parts` gives; the domain is null where there is no host."""


def _parts(url: pl.Series) -> tuple[pl.Series, pl.Series]:
    """`start`: scheme with host, in lower case; `rest`: what follows, made comparable."""
    page = url.alias("page").to_frame().select(_WITHOUT_FRAGMENT)
    parts = page.with_columns(_START).select(_SPLIT)
    rest = parts["rest"]
    asked = rest.str.contains("?", literal=True).arg_true()
    if len(asked):
        rest = rest.scatter(asked, _untracked(rest[asked]))
    return parts["start"], rest


def _untracked(rest: pl.Series) -> pl.Series:
    """Path and query without tracking parameters; the first that stays follows a `?`."""
    less = rest.str.replace_all(_TRACKING, "")
    orphan = ~less.str.contains("?", literal=True)
    return less.zip_with(~orphan, less.str.replace("&", "?", literal=True))
