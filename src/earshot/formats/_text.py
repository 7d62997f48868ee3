"""Texts, languages and small things that several networks write in the same way."""

from typing import Final

import polars as pl

_MARKUP: Final = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ENTITIES: Final = {
    **_MARKUP,
    "&quot;": '"',
    "&#34;": '"',
    "&#39;": "'",
    "&#x27;": "'",
    "&#039;": "'",
    "&apos;": "'",
    "&nbsp;": " ",
    "&#160;": " ",
    "&#x2F;": "/",
    "&#47;": "/",
    "&hellip;": "…",
    "&ndash;": "\u2013",
    "&mdash;": "—",
    "&zwj;": "\u200d",
}
_OLD_LANGUAGES: Final = {"in": "id", "iw": "he", "ji": "yi"}
"""Codes withdrawn by ISO 639 that networks still send."""


def unescape(text: pl.Expr) -> pl.Expr:
    """`&amp; &lt; &gt;` as characters, each once: `&amp;lt;` is `&lt;`."""
    return _replace(text, _MARKUP)


def unescape_html(text: pl.Expr) -> pl.Expr:
    """The entities that HTML of posts holds, as characters, each once."""
    return _replace(text, _ENTITIES)


def _replace(text: pl.Expr, by: dict[str, str]) -> pl.Expr:
    return text.str.replace_many(list(by), list(by.values()))


def plain(html: pl.Expr) -> pl.Expr:
    """Text of HTML: paragraphs and `<br>` become line breaks, all other markup goes."""
    broken = html.str.replace_all(r"(?i)<br\b[^>]*>|</(?:p|li|div|blockquote|h[1-6])\s*>", "\n")
    return unescape_html(broken.str.replace_all(r"<[^>]*>", "")).str.strip_chars("\n ")


def anchor(html: pl.Expr) -> pl.Expr:
    """What stands inside `<a …>…</a>`; a text without markup stays; "" becomes null."""
    return nonempty(unescape(html.str.replace_all(r"<[^>]*>", "")))


def language(tag: pl.Expr) -> pl.Expr:
    """Primary part of a BCP 47 tag in lower case, withdrawn codes renewed; no tag is null."""
    primary = tag.str.to_lowercase().str.extract(r"^([a-z]{2,8})(?:[-_]|$)")
    return primary.replace(_OLD_LANGUAGES)


def country(code: pl.Expr) -> pl.Expr:
    """ISO 3166-1 alpha-2 in upper case; anything else is null."""
    return code.str.to_uppercase().str.extract(r"^([A-Z]{2})$")


def nonempty(text: pl.Expr) -> pl.Expr:
    """`text`, or null where it is empty."""
    return pl.when(text != "").then(text)


def latitude(value: pl.Expr) -> pl.Expr:
    """Degrees; null outside -90 … 90."""
    return pl.when(value.is_between(-90, 90)).then(value)


def longitude(value: pl.Expr) -> pl.Expr:
    """Degrees; null outside -180 … 180."""
    return pl.when(value.is_between(-180, 180)).then(value)
