"""Interactions are a set: each raises a counter of its object once, its removal takes it back."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from earshot.model.changes import State
from earshot.model.schema import INTERACTION, empty
from earshot.pipeline.hashes import I64
from earshot.pipeline.keys import COUNTED, NO_KEY, numbered
from earshot.pipeline.sights import ALWAYS, NEVER, Flags, Known, Sights, death_of, equal

RAISED: Final = tuple(COUNTED.values())


@dataclass(frozen=True, slots=True)
class Acts:
    """What the interactions of a batch come to."""

    kept: pl.DataFrame
    """INTERACTION with `object_key` (Int64): rows to keep, or with `removed` to forget."""
    key: I64
    """Number of each post whose counters change …"""
    record: I64
    """… the record that changes them …"""
    steps: I64
    """… and by how much: (RAISED, changes)."""


def acts(  # noqa: PLR0913, PLR0917 - a batch, and what was known
    interactions: pl.DataFrame, objects: I64, seen: Sights, before: Known, dead: I64, state: State
) -> Acts:
    """Find the interactions that are new, and the removals of known ones.

    An interaction counts where its object is known by then; twice the same counts once.

    Args:
        interactions: `Decoded.interactions`.
        objects: The number of the object of each, then of those in the state.
        seen: Sights.
        before: What was known of posts.
        dead: By number, see `events.deaths`.
        state: What was known of interactions.
    """
    if interactions.is_empty():
        return Acts(empty(INTERACTION, ("object_key", pl.Int64())), *_no_steps())
    had, own = state.interactions, objects[: interactions.height]
    removed = interactions["removed"].to_numpy()
    record = interactions["record"].to_numpy().astype(np.int64)
    since, until = _lives(seen, before, dead)
    counted = np.any([equal(interactions["kind"], kind) for kind in COUNTED], axis=0)
    lives = (own != NO_KEY) & (since[own] <= record) & (until[own] > record)
    tried = np.flatnonzero(removed | (counted & lives))
    tried = tried[np.argsort(record[tried], kind="stable")]
    columns = INTERACTION.names()
    timeline = pl.concat([had[columns], interactions[tried][columns]])
    act, _ = numbered(timeline["source"], timeline["key"])
    removed = np.concatenate([np.zeros(had.height, np.bool_), removed[tried]])
    record = np.concatenate([np.full(had.height, ALWAYS), record[tried]])
    target = np.concatenate([objects[interactions.height :], own[tried]])

    done = _effective(act, removed)
    made = done.copy()  # the creation that each is, or takes back
    made[1:] = np.where(removed[done[1:]], done[:-1], done[1:])
    at, key = record[done], target[made]
    steps = (at != ALWAYS) & (key != NO_KEY) & (since[key] <= at) & (until[key] > at)
    return Acts(
        kept=_kept(timeline, act, removed, done, made, record, target),
        key=key[steps],
        record=at[steps],
        steps=_steps(timeline["kind"][made[steps]], removed[done[steps]]),
    )


def _no_steps() -> tuple[I64, I64, I64]:
    nothing = np.zeros(0, np.int64)
    return nothing, nothing, np.zeros((len(RAISED), 0), np.int64)


def _lives(seen: Sights, before: Known, dead: I64) -> tuple[I64, I64]:
    """By number of a post: from which record to which a stored post can be an object."""
    since, until = np.full(len(dead), NEVER), np.full(len(dead), NEVER)
    key, author = before.key[before.stored], before.author[before.stored]
    since[key] = ALWAYS
    until[key] = death_of(dead, key, author)
    since[seen.key[seen.first]] = seen.record[seen.first]
    until[seen.key[seen.first]] = seen.dead[seen.first]
    return since, until


def _effective(act: I64, removed: Flags) -> I64:
    """The places of what changes the set, by act, then in order.

    A creation of what is there, and a removal of what is not there, change nothing; so creations
    and removals of an act take turns.
    """
    order = np.argsort(act, kind="stable")
    gone = removed[order]
    earlier = np.ones(len(order), np.bool_)
    earlier[1:] = gone[:-1] | (np.diff(act[order]) != 0)
    done: I64 = order[gone != earlier]
    return done


def _kept(  # noqa: PLR0913, PLR0917 - a timeline, its columns
    timeline: pl.DataFrame,
    act: I64,
    removed: Flags,
    done: I64,
    made: I64,
    record: I64,
    target: I64,
) -> pl.DataFrame:
    """The rows of those interactions that end otherwise than they began."""
    known = np.zeros(len(act), np.bool_)
    known[act[done[record[done] == ALWAYS]]] = True
    last = np.ones(len(done), np.bool_)
    last[:-1] = np.diff(act[done]) != 0
    last &= (record[done] != ALWAYS) & (removed[done] == known[act[done]])
    rows = timeline[done[last]]
    return rows.with_columns(
        timeline["kind"][made[last]],
        timeline["object"][made[last]],
        object_key=target[made[last]],
    )


def _steps(kind: pl.Series, removed: Flags) -> I64:
    """By how much each counter changes."""
    step = np.where(removed, -1, 1)
    steps: I64 = np.stack([np.where(equal(kind, k), step, 0) for k in COUNTED])
    return steps
