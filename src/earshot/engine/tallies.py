"""The flow counters as one object: the fixed interface of `earshot counts --json`."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from earshot.model.schema import FLOW_CLASSES, MARKS

BESIDE = ("embedded_new", "embedded_seen", "expired")


def counts_of(counts: pl.DataFrame, rule_names: Mapping[int, str]) -> dict[str, Any]:
    """Lay out COUNT sums: all, then `by_source`, then `by_rule` (by the rule's name)."""
    flow = counts.filter(pl.col("rule") == 0)
    per_rule = counts.filter(pl.col("rule") != 0)
    return {
        **_whole(flow),
        "by_source": {
            source: _whole(flow.filter(pl.col("source") == source))
            for source in flow["source"].unique().sort()
        },
        "by_rule": {
            rule_names.get(rule, f"#{rule}"): _marks(per_rule.filter(pl.col("rule") == rule))
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
