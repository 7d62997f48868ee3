"""Links made comparable: as written, expanded, canonical, and their domain."""

from typing import Final

import polars as pl

_TRACKING: Final = (
    r"(?i)[?&](?:utm_[a-z_]+|fbclid|gclid|dclid|gbraid|wbraid|msclkid|mc_[ce]id|igshid|igsh"
    r"|yclid|twclid|ttclid|_hs(?:enc|mi)|mkt_tok|ref_src|ref_url|vero_id|oly_(?:anon|enc)_id"
    r"|cmpid|ncid|s_cid|wt_mc)=[^&]*"
)
"""Parameters that say how somebody came to a page, never which page."""


def link(url: pl.Expr, expanded: pl.Expr) -> pl.Expr:
    """A LINK of each (url as written, as the network expands it or null)."""
    target = pl.coalesce(expanded, url)
    plain = canonical(target)
    return pl.struct(
        url=url, expanded=target, canonical=plain, domain=domain(plain)
    )


def canonical(url: pl.Expr) -> pl.Expr:
    """`url` without fragment and tracking parameters, its host in lower case."""
    page = url.str.strip_chars().str.replace(r"#.*$", "", literal=False)
    start = page.str.extract(r"^([a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*|[^/?]*)")
    rest = page.str.slice(start.str.len_chars())
    return pl.concat_str(start.str.to_lowercase(), _untracked(rest))


def _untracked(rest: pl.Expr) -> pl.Expr:
    """Path and query without tracking parameters; the first that stays follows a `?`."""
    less = rest.str.replace_all(_TRACKING, "")
    orphan = rest.str.contains("?", literal=True) & ~less.str.contains("?", literal=True)
    return (
        pl.when(~rest.str.contains(_TRACKING))
        .then(rest)
        .when(orphan)
        .then(less.str.replace("&", "?", literal=True))
        .otherwise(less)
    )


def domain(url: pl.Expr) -> pl.Expr:
    """Host of a canonical URL without port, user and `www.`; null where there is none."""
    host = url.str.extract(r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^/?@]*@)?(?:www\.)?([^/?:]+)")
    return pl.when(host.str.contains(".", literal=True) | (host == "localhost")).then(host)
