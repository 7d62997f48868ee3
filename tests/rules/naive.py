"""The meaning of every node once more, in straight Python over one post as a dict."""

from tests.model.naive_tokens import tokens as naive_tokens

from earshot.model.hashing import hash_text
from earshot.model.tokens import terms
from earshot.model.unicode_tables import UNSPACED, class_of
from earshot.rules.grammar import RANGES
from earshot.rules.nodes import And, Field, Near, Not, Or, Phrase, Prefix, Range, Sample, Word

OWN = {"reply": "reply_to", "repost": "repost_of", "quote": "quote_of"}
FLAGS = {"verified": "author_verified", "bot": "author_bot"}


def matches(node, post, document):
    return evaluated([node], post, document)[0]


def evaluated(nodes, post, document):
    """The truth of each of many expressions."""
    words = [(token, position) for token, _, position in naive_tokens(document)]
    return [_node(node, post, words) for node in nodes]


def _node(node, post, words):
    match node:
        case Not(part):
            return not _node(part, post, words)
        case And(parts):
            return all(_node(p, post, words) for p in parts)
        case Or(parts):
            return any(_node(p, post, words) for p in parts)
        case Word(text) | Phrase(text):
            return _phrase(terms(text), words)
        case Near(text, distance):
            return _near(set(terms(text)), distance, words)
        case Prefix(text):
            tokens = terms(text)
            if class_of(tokens[0][0]) == UNSPACED:
                return _phrase(tokens, words)
            return any(token.startswith(tokens[0]) for token, _ in words)
        case Range(name, low, high):
            value = post[RANGES[name]]
            return value is not None and (
                (low is None or value >= low) and (high is None or value <= high)
            )
        case Sample(percent):
            return hash_text(f"{post['source']}\x1f{post['id']}") % 100 < percent
        case Field(name, value):
            return _field(name, value, post)


def _places(token, words, last):
    if last and len(token) == 1 and class_of(token) == UNSPACED:
        return {p for t, p in words if t.startswith(token)}
    return {p for t, p in words if t == token}


def _phrase(tokens, words):
    places = [_places(t, words, False) for t in tokens[:-1]]
    places.append(_places(tokens[-1], words, True))
    return any(all(p + k in places[k] for k in range(len(tokens))) for p in places[0])


def _near(tokens, distance, words):
    places = [_places(t, words, True) for t in tokens]
    reach = distance + len(tokens) - 1
    every = set().union(*places)
    return any(all(any(low <= p <= low + reach for p in ps) for ps in places) for low in every)


def _handle(value):
    return None if value is None else value.removeprefix("@").lower()


def _field(name, value, post):
    links = post["links"] or []
    match name:
        case "from":
            return _handle(post["author_handle"]) == value.lower() or post["author_id"] == value
        case "to":
            return (
                _handle(post["reply_to_handle"]) == value.lower()
                or post["reply_to_author"] == value
            )
        case "domain":
            return any(f".{(k['domain'] or '').lower()}".endswith(f".{value}") for k in links)
        case "url":
            urls = [k[c] for k in links for c in ("url", "expanded", "canonical")]
            return any(value in u.lower() for u in urls if u)
        case "lang":
            lang = post["lang"] if post["lang"] is not None else post["lang_detected"]
            return lang is not None and lang.lower().replace("_", "-").split("-")[0] == value
        case "country":
            return post["country"] is not None and post["country"].upper() == value
        case "source" | "conversation":
            return post[name] == value
        case "channel":
            return post["channel"] is not None and post["channel"].lower() == value
        case "bio" | "place":
            text = post["author_bio" if name == "bio" else "place"] or ""
            words = [(token, position) for token, _, position in naive_tokens(text)]
            return _phrase(terms(value), words)
        case "has":
            return _has(value, post)
        case "is":
            return _is(value, post)
    return False  # late


def _has(value, post):
    media = post["media"] or []
    match value:
        case "geo":
            return any(post[c] is not None for c in ("place", "latitude", "country"))
        case "images":
            return any(m["kind"] in {"image", "gif"} for m in media)
        case "video":
            return any(m["kind"] == "video" for m in media)
        case "alt":
            return any(m["alt"] for m in media)
    return bool(post[value])


def _is(value, post):
    if value in {"post", "reply", "repost", "quote", "comment", "submission", "event", "rsvp"}:
        return post["kind"] == value or (value in OWN and post[OWN[value]] is not None)
    if value == "edited":
        return post["edited_at"] is not None
    return bool(post.get(FLAGS.get(value, value)))
