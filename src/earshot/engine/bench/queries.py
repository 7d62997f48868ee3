"""Questions to a store that is full: those of the overview page, and searches of every kind.

They are asked over HTTP of a process of its own, `earshot up` without collecting.
"""

import contextlib
import datetime as dt
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import numpy as np
import polars as pl

from earshot.clock import SystemClock
from earshot.engine.bench.child import child
from earshot.engine.bench.growth import grow
from earshot.engine.bench.profile import write
from earshot.engine.bench.serving import get, serving, token_of
from earshot.engine.home import open_rooms, store_of
from earshot.errors import EarshotError
from earshot.model.index import Span
from earshot.model.tokens import terms
from earshot.settings import Settings
from earshot.store import Store

FACETS: Final = ("hashtag", "word", "domain", "mention", "language")
"""Those that the overview shows."""
RANGES: Final = (("1h", dt.timedelta(hours=1), "60m"), ("24h", dt.timedelta(days=1), "1d"))
"""Ranges of the overview, and the window of its top lists."""
NOWHERE: Final = "qzxqzxqzx"
UNLIMITED: Final = {"EARSHOT_KEEP__GIGABYTES": "100000", "EARSHOT_KEEP__LOG_GIGABYTES": "100000"}

Questions = Mapping[str, str]
"""Name, such as `dashboard: series 1h`, and the path that is asked for."""


def measure_queries(  # noqa: PLR0913 - one measurement, its sizes
    posts: int,
    *,
    rules: int = 100,
    home: Path | None = None,
    rounds: int = 3,
    repeats: int = 20,
    step: int = 200_000,
    seed: int = 7,
    profile: Path | None = None,
) -> dict[str, Any]:
    """Fill a store, then ask it, cold and warm.

    Args:
        posts: Records it is filled with.
        rules: How many are matched while it is filled.
        home: A folder that keeps the store; where one is there already, nothing is filled in.
        rounds: Fresh server processes; each is asked everything once cold.
        repeats: How often everything is asked warm.
        step: Records taken in by one process while it is filled.
        seed: Of the world and the rules.
        profile: Folder for where the time goes; of the client and what it starts.
    """
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as name:
        folder = Path(name)
        place = (home or folder / "home").resolve()
        if not _stored(place):
            grow(folder, place, posts, rules=rules, step=step, seed=seed)
        samples = profile / "queries.raw" if profile else None
        figures = child("queries", place, rounds=rounds, repeats=repeats, samples=samples)
        if profile and samples:
            write(samples, profile / "queries.txt")
            figures["profile"] = str(profile / "queries.txt")
    return figures


def _stored(home: Path) -> int:
    if not home.exists():
        return 0
    with store_of(Settings(home=home)) as store:
        return store.count(None, Span())


def run(folder: Path, *, rounds: int, repeats: int) -> dict[str, Any]:
    """Ask the store of a home; runs in the process of the client."""
    settings, clock = Settings(home=folder), SystemClock()
    with open_rooms(settings, clock, writable=False) as rooms:
        questions = questions_for(rooms.store, [r.rule for r in rooms.control.rules()])
        stored, token = rooms.store.count(None, Span()), token_of(rooms.control)
    cold: dict[str, list[float]] = {name: [] for name in questions}
    warm: dict[str, list[float]] = {name: [] for name in questions}
    for turn in range(rounds):
        with serving(settings, ["--no-collect"], UNLIMITED) as (_, port):
            _asked(port, _search(NOWHERE), token)  # kernels and modules are loaded
            for name, path in questions.items():
                drop_from_cache(folder)
                cold[name].append(_asked(port, path, token))
            if turn == rounds - 1:
                for _ in range(repeats):
                    for name, path in questions.items():
                        warm[name].append(_asked(port, path, token))
    kinds = {kind: [n for n in questions if n.startswith(kind)] for kind in ("dashboard", "search")}
    return {
        "stored": stored,
        **{
            kind: {
                "cold": spread([ms for n in names for ms in cold[n]]),
                "warm": spread([ms for n in names for ms in warm[n]]),
            }
            for kind, names in kinds.items()
        },
        "questions": {
            n: {"cold": spread(cold[n]), "warm": spread(warm[n]), "path": questions[n]}
            for n in questions
        },
    }


def spread(times: Sequence[float]) -> dict[str, float]:
    """Milliseconds: p50, p95, max."""
    if not times:
        return {"p50": 0.0, "p95": 0.0, "max": 0.0}
    p50, p95, most = np.quantile(times, [0.5, 0.95, 1.0])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "max": round(float(most), 1)}


def _asked(port: int, path: str, token: str) -> float:
    """Milliseconds that an answer took."""
    clock = SystemClock()
    began = clock.monotonic()
    status, body = get(port, path, token)
    took = (clock.monotonic() - began) * 1e3
    if status != 200:
        msg = f"{path} was answered with {status}: {body[:300].decode(errors='replace')}"
        raise EarshotError(msg)
    return took


def drop_from_cache(home: Path) -> None:
    """Have the system forget what it read of a home's files, so that the disk is asked again."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in (home / "data").iterdir():
        if path.is_file():
            with contextlib.closing(_Opened(path)) as file:
                os.fsync(file.number)  # what is not written yet cannot be dropped
                os.posix_fadvise(file.number, 0, 0, os.POSIX_FADV_DONTNEED)


class _Opened:
    """A file's number."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def close(self) -> None:
        os.close(self.number)


# -- what is asked -----------------------------------------------------------------------------
def questions_for(store: Store, rules: Sequence[int]) -> Questions:
    """Questions that this store has something to say to.

    Raises:
        EarshotError: Nothing is stored.
    """
    bounds = store.bounds()
    if bounds is None:
        msg = "nothing is stored: there is nothing to ask for"
        raise EarshotError(msg)
    return {**_dashboard(bounds[1], rules), **_searches(store, rules)}


def _dashboard(newest: dt.datetime, rules: Sequence[int]) -> dict[str, str]:
    """What the overview asks for, when it is opened at the newest post."""
    asked = {}
    at = newest.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
    for name, width, window in RANGES:
        span = {"since": _iso(at - width), "until": _iso(at)}
        asked[f"dashboard: series {name}"] = _path("windows", **span, rule=0, by="source")
        if rules:
            asked[f"dashboard: series {name}, rule"] = _path("windows", **span, rule=rules[0])
        for facet in FACETS:
            asked[f"dashboard: top {facet} {window}"] = _path(
                "top", facet=facet, window=window, at=_iso(at), rule=0, limit=10
            )
    for what in ("rules", "counts", "sources", "system", "gaps"):
        asked[f"dashboard: {what}"] = _path(what)
    asked["dashboard: newest posts"] = _path("posts", limit=50)
    return asked


def _searches(store: Store, rules: Sequence[int]) -> dict[str, str]:
    """One search of every kind, with words of the newest posts."""
    posts = store.select(None, Span(), limit=2000)
    texts = posts.filter(pl.col("lang") == "en")["text"].to_list() or posts["text"].to_list()
    words = [[w for w in terms(t or "") if w.isalpha() and len(w) > 3] for t in texts]
    common = [w for w, _ in Counter(w for some in words for w in set(some)).most_common()]
    first, second, rare = common[0], common[1], common[len(common) // 2]
    pair = next((some for some in words if len(some) > 1), [first, second])
    author = posts["author_handle"].drop_nulls()
    asked = {
        "search: common word": first,
        "search: rare word": rare,
        "search: AND": f"{first} {second}",
        "search: AND of rare": f"{rare} {first}",
        "search: phrase": f'"{pair[0]} {pair[1]}"',
        "search: language and word": f"lang:en {first}",
        "search: no result": NOWHERE,
        "search: from": f"from:{author[0] if len(author) else 'nobody'}",
        "search: negation": f"{first} -{second}",
        "search: only negation": f"-{first}",
    }
    paths = {name: _search(text) for name, text in asked.items()}
    if rules:
        paths["search: rule"] = _path("posts", rule=rules[0], limit=50)
    return paths


def _search(text: str) -> str:
    return _path("posts", q=text, limit=50)


def _path(what: str, **asked: object) -> str:
    query = urlencode({k: str(v) for k, v in asked.items()}, quote_via=quote)
    return f"/api/v1/{what}" + (f"?{query}" if query else "")


def _iso(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
