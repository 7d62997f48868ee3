"""Where the time of a measured process goes, by stage and function.

py-spy samples from outside where it is installed; else a thread of the process looks at the stacks
of all others. Both give one line a stack: `outer (file:line);…;inner (file:line) count`.
"""

import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Final

import polars as pl

EVERY_S: Final = 0.005
RATE: Final = 200
"""Of py-spy, a second."""
MOST_ROWS: Final = 60
WAITING: Final = ("threading.py", "selectors.py", "queue.py", "concurrent/futures/", "socket.py")
"""A stack that ends here waits, and costs nothing."""
STAGES: Final = (
    ("start", ("importlib._bootstrap",)),
    ("windows", ("engine/windows", "engine/minutes", "engine/rollups", "engine/spans")),
    ("windows", ("pipeline/window", "pipeline/top", "pipeline/codec", "pipeline/block")),
    ("families", ("engine/families", "pipeline/near")),
    ("lake", ("engine/seal", "earshot/lake/")),
    ("decode", ("earshot/formats/",)),
    ("log", ("earshot/log/",)),
    ("store", ("earshot/store/",)),
    ("match", ("earshot/rules/",)),
    ("tokens", ("model/document", "model/tokens", "model/tags")),
    ("pipeline", ("earshot/pipeline/",)),
    ("api", ("earshot/api/", "earshot/live/", "uvicorn/", "starlette/", "fastapi/")),
    ("bench", ("engine/bench/",)),
)
"""A stack belongs to the first stage of which it has a file."""


def py_spy(samples: Path) -> list[str]:
    """What to put before a command so that py-spy samples it and its children; empty: none here."""
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        return []
    options = ["--rate", str(RATE), "--format", "raw", "--full-filenames", "--subprocesses"]
    return [found, "record", *options, "--output", str(samples), "--"]


class Sampler:
    """Samples all other threads of this process while it is entered, then writes the stacks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stacks: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        lines = [f"{stack} {n}\n" for stack, n in self._stacks.items()]
        self._path.write_text("".join(lines), encoding="utf-8")

    def _watch(self) -> None:
        me = threading.get_ident()
        while not self._stop.wait(EVERY_S):
            for thread, frame in sys._current_frames().items():  # noqa: SLF001 - there is no other door
                if thread != me:
                    self._stacks[_stack(frame)] += 1


def _stack(frame: FrameType | None) -> str:
    names = []
    while frame is not None:
        code = frame.f_code
        names.append(f"{code.co_name} ({code.co_filename}:{frame.f_lineno})")
        frame = frame.f_back
    return ";".join(reversed(names))


def dearest(lines: Iterable[str]) -> pl.DataFrame:
    """Sum stacks up: `stage`, `function`, `samples`, `share` (percent), the dearest first.

    A sample counts for the innermost of our own functions: libraries are what it calls.
    """
    found: Counter[tuple[str, str]] = Counter()
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        frames = [f for f in stack.split(";") if "(" in f]
        if not frames or any(w in frames[-1] for w in WAITING):
            continue
        ours = [f for f in frames if "earshot/" in f]
        name = _named(ours[-1]) if ours else _named(frames[-1])
        found[_stage(stack), name] += int(count)
    rows = [(*key, n, round(100 * n / found.total(), 1)) for key, n in found.most_common()]
    return pl.DataFrame(rows, schema=["stage", "function", "samples", "share"], orient="row")


def _stage(stack: str) -> str:
    return next((name for name, files in STAGES if any(f in stack for f in files)), "other")


def _named(frame: str) -> str:
    """`name (…/earshot/room/file.py:12)` as `room/file:name`."""
    name, _, file = frame.partition(" (")
    path = file.rpartition(":")[0].removesuffix(".py")
    return f"{path.rpartition('earshot/')[2]}:{name}"


def write(samples: Path, text: Path) -> pl.DataFrame:
    """Turn sampled stacks into a text table beside them; returns the table."""
    whole = dearest(samples.read_text(encoding="utf-8").splitlines())
    stages = whole.group_by("stage").agg(pl.col("samples", "share").sum())
    with pl.Config(tbl_rows=-1, fmt_str_lengths=90, tbl_hide_dataframe_shape=True, tbl_cols=-1):
        said = f"{stages.sort('samples', descending=True)}\n\n{whole.head(MOST_ROWS)}\n"
    text.write_text(said, encoding="utf-8")
    return whole
