"""The flow counters, laid out: in all, by source, by rule; and by connection as they grow."""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import polars as pl

from earshot.model.schema import FLOW_CLASSES, MARKS
from earshot.store import Store

EMBEDDED: Final = ("embedded_new", "embedded_seen")
BESIDE: Final = (*EMBEDDED, "expired")
PREFIX: Final = "tally."
REMEMBERED: Final = 64
"""Connections whose tally the engine keeps in memory; that of others is read when they go on."""


def tally_of(store: Store, connection: str) -> Counter[str]:
    """What a connection brought since the beginning: flow classes and EMBEDDED.

    It is exact for the offset of the store: both are committed together.
    """
    text = store.facts(PREFIX + connection).get(PREFIX + connection)
    return Counter(msgspec.json.decode(text, type=dict[str, int]) if text else {})


class Tallies:
    """Adds each batch to the tallies of its connections; kept in the store with the batch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, Counter[str]] = OrderedDict()

    def with_batch(
        self, records: pl.DataFrame, classes: pl.Series, embedded: pl.DataFrame
    ) -> dict[str, Counter[str]]:
        """The tallies of a batch's connections, once it is committed.

        Args:
            records: RECORD rows.
            classes: `class` of each record.
            embedded: `record`, `name` of each embedded post.
        """
        connection = records["connection"]
        named = [
            pl.DataFrame({"connection": connection, "name": classes}),
            pl.DataFrame({"connection": connection[embedded["record"]], "name": embedded["name"]}),
        ]
        grown = pl.concat(named).group_by("connection", "name").len()
        after: dict[str, Counter[str]] = {}
        for name, what, n in grown.iter_rows():
            if name not in after:
                after[name] = Counter(self._of(name))
            after[name][what] += n
        return after

    def keep(self, tallies: Mapping[str, Counter[str]]) -> None:
        """Go on from these: their batch was committed."""
        for connection, tally in tallies.items():
            self._known[connection] = tally
            self._known.move_to_end(connection)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _of(self, connection: str) -> Counter[str]:
        known = self._known.get(connection)
        return tally_of(self._store, connection) if known is None else known


def notes_of(tallies: Mapping[str, Counter[str]]) -> dict[str, str]:
    """The facts that `tally_of` reads."""
    return {PREFIX + c: msgspec.json.encode(dict(t)).decode() for c, t in tallies.items()}


def counts_of(counts: pl.DataFrame, rule_names: Mapping[int, str]) -> dict[str, Any]:
    """Lay out COUNT sums: all, then `by_source`, then `by_rule` (by the rule's name).

    Where rules share a name, because one was ended and its name used again, the newest has the
    name, and the others have their number besides.
    """
    flow = counts.filter(pl.col("rule") == 0)
    per_rule = counts.filter(pl.col("rule") != 0)
    newest = {name: rule for rule, name in sorted(rule_names.items())}

    def shown(rule: int) -> str:
        name = rule_names.get(rule, "")
        return name if name and newest[name] == rule else f"{name} #{rule}".strip()

    return {
        **_whole(flow),
        "by_source": {
            source: _whole(flow.filter(pl.col("source") == source))
            for source in flow["source"].unique().sort()
        },
        "by_rule": {
            shown(rule): _marks(per_rule.filter(pl.col("rule") == rule))
            for rule in per_rule["rule"].unique().sort()
        },
    }


def _whole(counts: pl.DataFrame) -> dict[str, int]:
    sums = _sums(counts)
    return {
        "consumed": sum(sums.get(c, 0) for c in FLOW_CLASSES),
        **{name: sums.get(name, 0) for name in (*FLOW_CLASSES, *BESIDE, *MARKS)},
    }


def _marks(counts: pl.DataFrame) -> dict[str, int]:
    sums = _sums(counts)
    return {name: sums.get(name, 0) for name in MARKS}


def _sums(counts: pl.DataFrame) -> dict[str, int]:
    summed = counts.group_by("name").agg(pl.col("n").sum())
    return dict(summed.select("name", "n").iter_rows())
