"""Links made comparable: as written, expanded, canonical, and their domain."""

from typing import Final

import polars as pl

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
    target = url if expanded is None else expanded.zip_with(expanded.is_not_null(), url)
    start, rest = _parts(target)
    plain = (start.str.to_lowercase() + rest).str.strip_chars_end()
    return pl.DataFrame(
        {"url": url, "expanded": target, "canonical": plain, "domain": _domain(start)}
    ).to_struct("links")


def canonical(url: pl.Series) -> pl.Series:
    """`url` without fragment and tracking parameters, its host in lower case."""
    start, rest = _parts(url)
    return (start.str.to_lowercase() + rest).str.strip_chars_end()


def _parts(url: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Scheme with host, and what follows, without fragment and tracking parameters."""
    marked = url.str.contains("#", literal=True).fill_null(value=False)
    page = url.zip_with(~marked, url.str.replace(r"(?s)#.*$", "")) if marked.any() else url
    start = pl.col("url").str.extract(r"^([a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*|[^/?]*)")
    parts = (
        page.str.strip_chars()
        .to_frame("url")
        .select("url", start=start)
        .select("start", rest=pl.col("url").str.slice(pl.col("start").str.len_chars()))
    )
    rest = parts["rest"]
    asked = rest.str.contains("?", literal=True).fill_null(value=False).arg_true()
    return parts["start"], rest.scatter(asked, _untracked(rest.gather(asked)))


def _untracked(rest: pl.Series) -> pl.Series:
    """Path and query without tracking parameters; the first that stays follows a `?`."""
    less = rest.str.replace_all(_TRACKING, "")
    orphan = ~less.str.contains("?", literal=True)
    return less.zip_with(~orphan, less.str.replace("&", "?", literal=True))


def _domain(start: pl.Series) -> pl.Series:
    """Host of a URL's start, without port, user and `www.`; null where there is none."""
    host = start.str.to_lowercase().str.extract(
        r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^@]*@)?(?:www\.)?([^:]+)"
    )
    real = host.str.contains(".", literal=True) | (host == "localhost")
    return host.set(~real, None)
