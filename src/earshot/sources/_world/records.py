"""The records of a step as the networks would deliver them, in the order they come in."""

from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from earshot.sources._world import bluesky, mastodon, meetup, noise, reddit, x
from earshot.sources._world.noise import I64
from earshot.sources._world.people import NETWORKS
from earshot.sources._world.plot import Law, scene
from earshot.sources._world.stage import Stage

REDELIVERED: Final = 0.02
"""Share of the records that come twice."""
_RENDERERS: Final = (bluesky.render, x.render, mastodon.render, reddit.render, meetup.render)


@lru_cache(maxsize=4)
def records(law: Law, step: int) -> pl.DataFrame:
    """All that is delivered in a step.

    Returns:
        at (µs; when it is delivered), row (its number in the step), network (number in
        `NETWORKS`), source, format, raw (Binary), in the order of `at`.
    """
    stage = Stage.of(scene(law, step))
    now = stage.now
    rendered = pl.concat(
        [render(stage).select("row", "format", "raw") for render in _RENDERERS]
    ).sort("row")
    frame = rendered.with_columns(
        at=pl.Series(now.at),
        network=pl.Series(stage.scene.people.network[now.person]),
        raw=pl.col("raw").cast(pl.Binary),
    )
    which = _deliveries(now.uid, now.at, (step + 1) * law.step)
    return frame[which[0]].with_columns(
        at=pl.Series(which[1]),
        source=pl.Series(NETWORKS).gather(frame["network"][which[0]]),
    )


def _deliveries(uid: noise.U64, at: I64, until: int) -> tuple[I64, I64]:
    """Rows in the order of delivery, with the times of it: some come again a little later."""
    again = np.flatnonzero(noise.chance(uid, 150, REDELIVERED))
    # The second delivery stays in the step, so that a step needs no other for its records.
    late = at[again] + (noise.unit(uid[again], 151) * (until - at[again])).astype(np.int64)
    rows = np.concatenate([np.arange(len(at)), again])
    times = np.concatenate([at, late])
    order = np.argsort(times, kind="stable")
    return rows[order], times[order]
