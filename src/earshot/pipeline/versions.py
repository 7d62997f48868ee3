"""Which sight gives a post its content: the greatest (version, received_at, position)."""

from dataclasses import dataclass

import numpy as np

from earshot.pipeline.hashes import I64, begins, ends
from earshot.pipeline.sights import ALWAYS, UNKNOWN, Flags, Known, Sights


@dataclass(frozen=True, slots=True)
class Winners:
    """What posts look like after the batch."""

    kept: Flags
    """Of each sight: its post looks like that."""
    stays: I64
    """Sights that consume a post for the first time whose stored content stays."""


def winners(seen: Sights, before: Known) -> Winners:
    """Find the sight, or the stored content, that each living post goes on with.

    The greatest (version, received_at, position) wins. Two rules stand beside it:

    * a sight of the same version and text says nothing new and changes nothing (so the same
      archive read again leaves everything as it is);
    * the create that consumes a post replaces content of up to its own version, because what was
      embedded in another post may lack fields.
    """
    kept = seen.alive & seen.stays & ~seen.often
    many = np.flatnonzero(seen.often & seen.stays)
    if len(many) == 0:
        return Winners(kept, many)
    place = _winning(seen, before, many)
    won = many[place[place >= 0]]
    kept[won] = True
    stays = np.ones(len(before.row), np.bool_)
    stays[seen.key[won]] = False
    return Winners(kept, many[seen.unique[many] & stays[seen.key[many]]])


def _winning(seen: Sights, before: Known, many: I64) -> I64:
    """Of each post the place in `many` of the sight that wins; ALWAYS: what is known stays."""
    had = np.unique(seen.had[many])
    had = had[had != UNKNOWN]
    known = before.posts[had]
    key = np.concatenate([before.key[had], seen.key[many]])
    version = np.concatenate([known["version"].fill_null(0).to_numpy(), seen.version[many]])
    received_at = np.concatenate(
        [known["received_at"].to_physical().to_numpy(), seen.received_at[many]]
    )
    offset = np.concatenate([known["offset"].fill_null(ALWAYS).to_numpy(), seen.offset[many]])
    text = np.concatenate([known["text_hash"].fill_null(0).to_numpy(), seen.text_hash[many]])
    record = np.concatenate([np.full(len(had), ALWAYS), seen.record[many]])
    place = np.concatenate([np.full(len(had), ALWAYS), np.arange(len(many))])

    at, upto = np.full(len(before.row), ALWAYS), np.zeros(len(before.row), np.int64)
    consuming = many[seen.unique[many]]
    at[seen.key[consuming]] = seen.record[consuming]
    upto[seen.key[consuming]] = seen.version[consuming]
    entered = np.flatnonzero(~((record < at[key]) & (version <= upto[key])))

    order = np.lexsort([part[entered] for part in (place, offset, received_at, version, key)])
    order = entered[order]
    order = order[begins(*(part[order] for part in (key, version, text)))]
    return place[order[ends(key[order])]]
