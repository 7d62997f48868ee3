r"""The rule language: its grammar, and the meaning of each operator, in one place.

    rule     = any
    any      = all { "OR" all }
    all      = part { [ "AND" ] part }
    part     = ( "-" | "NOT" ) part | "(" any ")" | leaf
    leaf     = phrase [ "~" digits ] | name ":" value | word [ "*" ]
    phrase   = '"' { any character but '"' } '"'         \" is a quote inside
    value    = phrase | characters but space, quotes and brackets
    word     = characters but space, quotes and brackets

AND binds before OR: `a b OR c` is `(a b) OR c`. AND, OR and NOT are written in capitals; everything
else is compared without regard to case, accents count. "-" stands directly before what it negates,
a group included.

**Words** are tokens of `earshot.model.tokens` in a post's title, text and hashtags. A word that is
several tokens (`e-mail`, `日本語`) is a phrase. A single character of Han, Kana, Thai, Lao, Khmer
or Burmese (also as the last of a phrase) is found anywhere in a run. `"a b"~5`: in any order, with
at most 5 other tokens between them all. `pre*`: a token that begins so; for the unspaced scripts,
as the word without `*`. A bare word also finds its #tag; `#tag`, `@name`, `$cash` only themselves.

**Fields** (what is unknown matches nothing; `-` of it matches):

    from:          the author's handle (with or without @) or id
    to:            the same of the author who is answered
    domain:        a link's domain or a domain above it
    url:           part of a link, as written, expanded or canonical
    lang:          primary language: what the network says, else what was found
    country:       two letters
    place:         words in the place's name
    source:        network
    conversation:  id
    channel:       forum, group, instance
    bio:           words in the author's profile
    has:           see HAS
    is:            see IS; a post can be a reply and a quote at once
    sample:        percent of all posts, 1 to 100, always the same ones
    followers: likes: reposts: replies: quotes: views: score:
                   n (exactly), a..b, a.., ..b, >=a, >a, <=b, <b
    sentiment: emotion: entity: min_confidence:
                   *late*, what enrichment finds: they match nothing until a post is enriched
"""

from typing import Final, NamedTuple

from earshot.model.tags import HAS_WHAT, IS_FLAG, IS_KIND

HAS: Final = HAS_WHAT
IS: Final = (*IS_KIND, *IS_FLAG)
RANGES: Final = {
    "followers": "author_followers",
    "likes": "likes",
    "reposts": "reposts",
    "replies": "replies",
    "quotes": "quotes",
    "views": "views",
    "score": "score",
}
"""Operator -> column."""
FIELDS: Final = frozenset(
    {"from", "to", "url", "domain", "lang", "country", "place", "source", "conversation"}
    | {"channel", "bio", "has", "is"}
)
LATE: Final = frozenset({"sentiment", "emotion", "entity", "min_confidence"})
"""Fields of what enrichment finds; a rule with one is decided after it."""
SENTIMENTS: Final = ("negative", "neutral", "positive")
OPERATORS: Final = frozenset({*FIELDS, *LATE, *RANGES, "sample"})
ALIASES: Final = {
    "conversation_id": "conversation",
    "place_country": "country",
    "followers_count": "followers",
    "language": "lang",
    "site": "domain",
    "subreddit": "channel",
    "author": "from",
}
"""Names that other tools give to operators."""
VALUE_ALIASES: Final = {
    ("is", "retweet"): "repost",
    ("is", "boost"): "repost",
    ("is", "reblog"): "repost",
    ("has", "video_link"): "video",
    ("has", "videos"): "video",
    ("has", "image"): "images",
    ("has", "link"): "links",
}
MAX_LENGTH: Final = 4096
"""Characters of a rule."""
MAX_DEPTH: Final = 40
"""Groups and negations within each other."""
MAX_DISTANCE: Final = 100
MAX_PREFIX: Final = 31
"""Characters of a prefix."""


class Piece(NamedTuple):
    """One piece of an expression, with its place in characters."""

    kind: str
    """( ) - AND OR NOT phrase word operator"""
    text: str
    at: int
    length: int
