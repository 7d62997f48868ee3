"""The embedded engine: log → pipeline → store, one batch after the other, in one process.

While a batch is matched and committed, the next is read, decoded and tokenised on a second thread;
polars, numba and SQLite all leave the interpreter lock alone while they work.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

import msgspec
import polars as pl
import psutil
import structlog

from earshot.engine.home import Rooms
from earshot.engine.rulebook import Rulebook
from earshot.engine.seal import Sealer
from earshot.engine.windows import WindowKeeper
from earshot.pipeline import flow

say = structlog.get_logger(__name__)

IDLE_S = 0.05
"""How long the engine waits when the log has nothing new."""
WINDOWS_EVERY_S = 1.0
NOTE_EVERY_S = 1.0
RETIRE_EVERY_S = 60.0
SEAL = b'"kind":"seal"'
LOOK_AT_RULES_EVERY_S = 0.2


@dataclass(slots=True)
class Pulse:
    """How the engine is doing; noted in the store for API, metrics and commands."""

    started_at: str
    records: int = 0
    batches: int = 0
    stage_us: Counter[str] = field(default_factory=Counter)
    """Microseconds spent in each stage since the start."""
    tally: dict[str, Counter[str]] = field(default_factory=dict)
    """Connection → flow classes of what it brought, since the start."""


class LocalEngine:
    """Works off the log. The caller holds the home's engine lock and opened the store to write."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms, self._clock = rooms, rooms.clock
        self._log, self._store = rooms.log, rooms.store
        self._options = flow.FlowOptions(keep=rooms.settings.keep.posts)
        self._rules = Rulebook(rooms.control)
        self._windows = WindowKeeper(rooms.store, rooms.settings.weights.model_dump())
        self._sealer = Sealer(rooms)
        self._offset = rooms.store.offset()
        self._gaps_seen = int(rooms.store.facts("gaps.").get("gaps.seq", "0"))
        self._ahead = ThreadPoolExecutor(1, "prepare")
        self._next: Future[flow.Prepared | None] | None = None
        self._due: dict[str, float] = {}
        self._rate = _Rate()
        self._lag_s = 0.0
        self.pulse = Pulse(started_at=self._clock.now().isoformat())

    def step(self) -> int:
        """Work off one batch; returns how many records it had (0: the log has nothing new)."""
        prepared = self._take()
        if prepared is None:
            self._commit_gaps_alone()
            return 0
        self._next = self._ahead.submit(self._prepare, prepared.records["offset"][-1] + 1)
        with self._timed("state"):
            state = self._store.state(prepared.wanted)
            state = flow.with_texts(state, self._store.known_texts(prepared.text_hashes))
        with self._timed("pipeline"):
            flowed = flow.run(prepared, state, self._rules.current, self._options)
        with self._timed("store"):
            self._sealer.erase(flowed.changes)
            self._offset = prepared.records["offset"][-1] + 1
            self._store.commit(
                flowed.changes,
                offset=self._offset,
                at=self._clock.now(),
                gaps=self._new_gaps(),
            )
        self._sealer.note(flowed.changes)
        self._windows.note(flowed)
        self._count(prepared.records, flowed)
        if _seal_asked(prepared.records):
            self._sealer.seal()
        return prepared.records.height

    def run(self, stop: Event) -> None:
        """Work until told to stop, then finish the batch in hand and leave everything tidy."""
        say.info("engine started", offset=self._offset, head=self._log.head())
        try:
            while not stop.is_set():
                worked = self.step()
                self.upkeep(idle=worked == 0)
                if worked == 0:
                    stop.wait(IDLE_S)
        finally:
            self.close()

    def drain(self, *, progress: Callable[[int], None] | None = None) -> None:
        """Work until the log is empty and all windows are made; for commands without an engine."""
        while worked := self.step():
            self.upkeep()
            if progress:
                progress(worked)
        self.settle()

    def settle(self) -> None:
        """Make every dirty window and tell how the engine is."""
        with self._timed("windows"):
            self._windows.flush(self._clock.now(), everything=True)
        self._note()

    def close(self) -> None:
        """Make what is open, seal the lake, end the threads."""
        self._ahead.shutdown(wait=True, cancel_futures=True)
        self.settle()
        self._sealer.seal()
        self._rules.close()
        say.info("engine stopped", offset=self._offset)

    # -- parts of a step -------------------------------------------------------------------
    def _take(self) -> flow.Prepared | None:
        waiting, self._next = self._next, None
        prepared = waiting.result() if waiting is not None else None
        return prepared if prepared is not None else self._prepare(self._offset)

    def _prepare(self, offset: int) -> flow.Prepared | None:
        with self._timed("log"):
            records = self._log.read(offset, limit=self._rooms.settings.batch)
        if records.height == 0:
            return None
        with self._timed("decode"):
            return flow.prepare(records)

    def _new_gaps(self) -> pl.DataFrame:
        gaps = self._log.gaps(self._gaps_seen)
        if gaps.height:
            self._gaps_seen = int(gaps["seq"][-1])
            self._store.note("gaps.seq", str(self._gaps_seen))
        return gaps

    def _commit_gaps_alone(self) -> None:
        if self._is_due("gaps", NOTE_EVERY_S) and (gaps := self._new_gaps()).height:
            self._store.commit(
                flow.Changes.none(), offset=self._offset, at=self._clock.now(), gaps=gaps
            )

    def _count(self, records: pl.DataFrame, flowed: flow.Flowed) -> None:
        self.pulse.batches += 1
        self.pulse.records += records.height
        self._rate.add(self._clock.monotonic(), records.height)
        newest = records["received_at"][-1]
        self._lag_s = max(0.0, (self._clock.now() - newest).total_seconds())
        per_class = (
            records.select("connection")
            .with_columns(flowed.classes)
            .group_by("connection", "class")
            .len()
        )
        for connection, name, n in per_class.iter_rows():
            self.pulse.tally.setdefault(connection, Counter())[name] += n
        for name, n in flowed.embedded.items():
            first = records["connection"][0]
            self.pulse.tally.setdefault(first, Counter())[name] += n

    # -- upkeep ----------------------------------------------------------------------------
    def upkeep(self, *, idle: bool = False) -> None:
        """Do what is due beside the flow; what can wait waits until the log is empty (`idle`)."""
        if self._is_due("rules", LOOK_AT_RULES_EVERY_S):
            self._rules.look()
        if self._is_due("windows", WINDOWS_EVERY_S):
            with self._timed("windows"):
                self._windows.flush(self._clock.now(), everything=False)
        if self._is_due("note", NOTE_EVERY_S):
            self._note()
        if idle and self._is_due("retire", RETIRE_EVERY_S):
            self._retire()
        if idle and self._sealer.due():
            self._sealer.seal()

    def _retire(self) -> None:
        keep, now = self._rooms.settings.keep, self._clock.now()
        self._store.retire(
            before=now - dt.timedelta(days=keep.days),
            max_bytes=int(keep.gigabytes * 1e9),
            at=now,
        )
        self._log.trim(
            upto=self._offset,
            before=now - dt.timedelta(hours=keep.log_hours),
            max_bytes=int(keep.log_gigabytes * 1e9 / 2),
        )

    def _note(self) -> None:
        pulse, now = self.pulse, self._clock.now()
        note = {
            "batches": pulse.batches,
            "records": pulse.records,
            "records_per_second": self._rate.value(self._clock.monotonic()),
            "lag_records": max(0, self._log.head() - self._offset),
            "lag_seconds": self._lag_s,
            "stage_us": dict(pulse.stage_us),
            "started_at": pulse.started_at,
            "updated_at": now.isoformat(),
            "rss_mb": round(psutil.Process().memory_info().rss / 1e6, 1),
            "tally": {c: dict(t) for c, t in pulse.tally.items()},
        }
        self._store.note("engine", msgspec.json.encode(note).decode())

    def _is_due(self, what: str, every: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True

    def _timed(self, stage: str) -> "_Stage":
        return _Stage(self, stage)

    def took(self, stage: str, seconds: float) -> None:
        """Add to the time spent in a stage."""
        self.pulse.stage_us[stage] += round(seconds * 1e6)

    def now(self) -> float:
        """Seconds of the clock that only grows."""
        return self._clock.monotonic()


def _seal_asked(records: pl.DataFrame) -> bool:
    """Whether an operator's record asks for the lake to be brought up to date."""
    orders = records.filter(pl.col("format") == "earshot")["raw"]
    return bool(orders.bin.contains(SEAL).any())


class _Stage:
    """Measures one stretch of work."""

    __slots__ = ("_began", "_engine", "_stage")

    def __init__(self, engine: LocalEngine, stage: str) -> None:
        self._engine, self._stage = engine, stage

    def __enter__(self) -> None:
        self._began = self._engine.now()

    def __exit__(self, *exc: object) -> None:
        self._engine.took(self._stage, self._engine.now() - self._began)


class _Rate:
    """Records per second over the last ten seconds."""

    def __init__(self, span: float = 10.0) -> None:
        self._span, self._seen = span, list[tuple[float, int]]()

    def add(self, at: float, n: int) -> None:
        self._seen.append((at, n))
        self._forget(at)

    def value(self, at: float) -> float:
        self._forget(at)
        return round(sum(n for _, n in self._seen) / self._span, 1)

    def _forget(self, at: float) -> None:
        keep = next((i for i, (t, _) in enumerate(self._seen) if t > at - self._span), None)
        del self._seen[: len(self._seen) if keep is None else keep]
