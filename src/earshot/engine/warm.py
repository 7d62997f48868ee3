"""Compile the kernels once, so that the first real batch does not wait for it.

Runs a small demo world through a home of its own, which is thrown away; what is compiled stays in
the cache beside the modules. `make install` calls it.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np

from earshot.clock import Clock, SystemClock
from earshot.engine.home import open_rooms
from earshot.engine.observe import configure
from earshot.engine.query import search
from earshot.engine.replay import take_in
from earshot.engine.windows import top_of
from earshot.pipeline.near import BAND_BYTES, components
from earshot.settings import Settings
from earshot.sources import open_source

RECORDS = 3000
RULES = (
    "festival OR #festival",
    '"the festival" -is:repost lang:en',
    'fest* ("museum festival"~5 OR has:links) domain:example',
    "-is:reply followers:10.. sample:50",
    "祭",
)


def warm(clock: Clock) -> None:
    """Let every kernel run once."""
    with tempfile.TemporaryDirectory(prefix="earshot-warm-") as folder:
        settings = Settings(home=Path(folder))
        with open_rooms(settings, clock, writable=False) as rooms:
            for number, text in enumerate(RULES):
                rooms.control.add_rule(str(number), text, active_from=clock.now(), actor="warm")
        source = open_source(f"demo:?seed=1&limit={RECORDS}&speed=max", clock=clock)
        take_in(settings, clock, source, "warm")
        with open_rooms(settings, clock, writable=False) as rooms:
            for text in RULES:
                search(rooms.store, text, limit=5)
            bounds = rooms.store.bounds()
            if bounds is not None:
                top_of(rooms.store, "word", 3600, bounds[1])
    components(np.zeros((1, BAND_BYTES), np.uint8))  # else made when the first day is closed


if __name__ == "__main__":
    configure("auto", level=logging.WARNING)
    warm(SystemClock())
