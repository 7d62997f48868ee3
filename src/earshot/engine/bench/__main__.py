"""One measured part, in this process: `python -m earshot.engine.bench VERB FOLDER [OPTIONS]`.

OPTIONS is one JSON object; with SAMPLES, a file, behind it, where the time goes is written there.
The last line of standard output is the answer, as JSON.
"""

import contextlib
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from earshot.engine.bench import burst, matching, peer, pipeline, queries, serving, world
from earshot.engine.bench.profile import Sampler
from earshot.engine.observe import configure

VERBS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "make": world.make,
    "rules": world.make_rules,
    "run": pipeline.run,
    "peer": peer.run,
    "match": matching.run,
    "burst": burst.run,
    "queries": queries.run,
    "serve": serving.run,
}


def main(verb: str, folder: str, options: str = "{}", samples: str = "") -> None:
    """Run one part and print its figures."""
    configure("auto", level=logging.WARNING)
    with Sampler(Path(samples)) if samples else contextlib.nullcontext():
        figures = VERBS[verb](Path(folder), **msgspec.json.decode(options))
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
