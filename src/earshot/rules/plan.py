"""What a store's index can answer of an expression: a superset, never missing a match."""

import re

from earshot.model import tags
from earshot.model.index import All, AnyOf, Plan, Query, Tag, Term
from earshot.model.index import Near as IndexNear
from earshot.model.index import Prefix as IndexPrefix
from earshot.model.tokens import is_unspaced, terms
from earshot.rules.grammar import IS
from earshot.rules.nodes import And, Field, Leaf, Near, Node, Not, Or, Phrase, Prefix, Word

_ANYTHING = Plan(None, exact=False)


def plan(node: Node) -> Plan:
    """Say which index query finds every match; what it finds is verified unless `exact`."""
    if isinstance(node, And):
        return _all([plan(p) for p in node.parts])
    if isinstance(node, Or):
        return _any([plan(p) for p in node.parts])
    return _ANYTHING if isinstance(node, Not) else _leaf(node)


def _all(plans: list[Plan]) -> Plan:
    queries = tuple(p.query for p in plans if p.query is not None)
    if not queries:
        return _ANYTHING
    query = queries[0] if len(queries) == 1 else All(queries)
    return Plan(query, exact=all(p.exact for p in plans))


def _any(plans: list[Plan]) -> Plan:
    queries = tuple(p.query for p in plans if p.query is not None)
    if len(queries) < len(plans):
        return _ANYTHING
    return Plan(AnyOf(queries), exact=all(p.exact for p in plans))


def _leaf(node: Leaf) -> Plan:
    match node:
        case Word(text) | Phrase(text):
            return _phrase(terms(text))
        case Near(text, distance):
            several = list(dict.fromkeys(terms(text)))
            return _near(several, distance + len(several) - 1)
        case Prefix(text):
            tokens = terms(text)
            if is_unspaced(tokens[0]):
                return _phrase(tokens)
            return Plan(IndexPrefix(tokens[0]), exact=True)
        case Field():
            return _field(node)
        case _:
            return _ANYTHING


def _phrase(tokens: list[str]) -> Plan:
    if len(tokens) == 1:
        return Plan(_word(tokens[0]), exact=True)
    return _near(tokens, len(tokens) - 1)


def _word(token: str) -> Query:
    """A single character of an unspaced script begins a token wherever it stands in a run."""
    single = len(token) == 1 and is_unspaced(token)
    return IndexPrefix(token) if single else Term(token)


def _near(tokens: list[str], span: int) -> Plan:
    """Derived tokens lie between the others in the index: twice the span, and one at each end."""
    words = {t: _word(t) for t in tokens}
    near = tuple(t for t, query in words.items() if isinstance(query, Term))
    queries: tuple[Query, ...] = tuple(q for q in words.values() if not isinstance(q, Term))
    if len(near) > 1:
        queries = (IndexNear(near, 2 * span + 2), *queries)
    elif near:
        queries = (Term(near[0]), *queries)
    return Plan(queries[0] if len(queries) == 1 else All(queries), exact=False)


def _field(node: Field) -> Plan:
    value = node.value
    pairs = {
        "from": ((tags.HANDLE, value.lower()), (tags.AUTHOR, value)),
        "to": ((tags.TO_HANDLE, value.lower()), (tags.TO_AUTHOR, value)),
    }
    if node.name in pairs:
        return Plan(AnyOf(tuple(Tag(tags.tag(*p)) for p in pairs[node.name])), exact=True)
    prefixes = {
        "domain": tags.DOMAIN,
        "conversation": tags.CONVERSATION,
        "channel": tags.CHANNEL,
        "lang": tags.LANG,
        "source": tags.SOURCE,
    }
    if node.name in prefixes:
        tag = Tag(tags.tag(prefixes[node.name], value))
        hashed = prefixes[node.name] in tags.HASHED
        return Plan(tag, exact=hashed or re.fullmatch("[a-z0-9]*", value) is not None)
    if node.name == "country":  # a scrubbed place leaves its tag behind until the row is rewritten
        return Plan(Tag(tags.tag(tags.COUNTRY, value)), exact=False)
    if node.name == "has":
        return Plan(Tag(tags.HAS + value), exact=value != "geo")
    if node.name == "is" and value in IS:
        return Plan(Tag((tags.KIND if value in tags.IS_KIND else tags.IS) + value), exact=True)
    implied = {"url": tags.HAS + "links", "place": tags.HAS + "geo"}
    return Plan(Tag(implied[node.name]), exact=False) if node.name in implied else _ANYTHING
