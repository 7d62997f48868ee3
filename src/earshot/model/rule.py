"""Rules as the rooms hand them around."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of a rule; old versions stay, so that a hit can always be explained."""

    rule: int
    """Id of the rule, from 1 on, never given twice."""
    version: int
    """From 1 on within the rule."""
    workspace: int
    name: str
    """Unique in the workspace among rules that are not deleted."""
    text: str
    """The expression, as typed."""
    active_from: dt.datetime
    """Acts on records with `received_at` >= this …"""
    active_until: dt.datetime | None = None
    """… and before this (a newer version, or its deletion); None: still acts."""
