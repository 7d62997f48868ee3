"""The embedded engine: log → pipeline → store, one batch after the other, in one process.

While a batch is deduplicated and committed, the next is read, decoded and matched on a second
thread, and the last is counted on a third; polars, numba and SQLite all leave the interpreter lock
alone while they work.

Up to the commit a batch can be done again, and after it nothing can fail but memory: so whatever
the disk does, a batch is in or out, and trying again is right.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Final

import msgspec
import polars as pl
import psutil
import structlog

from earshot.engine.beside import WindowThread
from earshot.engine.families import Families
from earshot.engine.home import Rooms
from earshot.engine.rate import Rate
from earshot.engine.rulebook import Rulebook
from earshot.engine.seal import Sealer
from earshot.engine.tallies import Tallies, notes_of
from earshot.engine.windows import WindowKeeper
from earshot.errors import ConfigError, EarshotError, RetryableError
from earshot.model.changes import State
from earshot.pipeline import flow

say = structlog.get_logger(__name__)

IDLE_S: Final = 0.05
"""How long the engine waits when the log has nothing new."""
WINDOWS_EVERY_S: Final = 1.0
WINDOWS_REST: Final = 2
"""After windows took t seconds, their thread rests for 2 t, so that the flow has the machine."""
NOTE_EVERY_S: Final = 1.0
RETIRE_EVERY_S: Final = 60.0
RETIRE_LATEST_S: Final = 240.0
"""So much later than that where the log never runs empty."""
TRIM_EVERY_S: Final = 1.0
LEAP: Final = dt.timedelta(hours=1)
"""How far the clock may be set forward while the engine runs and still say what is old."""
LOOK_AT_RULES_EVERY_S: Final = 0.2
BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
SEAL: Final = b'"kind":"seal"'
GAPS: Final = "gaps.seq"


@dataclass(slots=True)
class Pulse:
    """How the engine is doing; noted in the store for API, metrics and commands."""

    started_at: str
    records: int = 0
    batches: int = 0
    stage_us: Counter[str] = field(default_factory=Counter)
    """Microseconds spent in each stage since the start."""
    trouble: str = ""
    """Why it waits and tries again, with the remedy; empty: it does not."""


class LocalEngine:
    """Works off the log. The caller holds the home's engine lock and opened the store to write.

    Raises:
        ConfigError: The store is ahead of the log: they do not belong together.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms, self._clock = rooms, rooms.clock
        self._log, self._store = rooms.log, rooms.store
        self._offset = rooms.store.offset()
        _refuse_another_log(rooms, self._offset)
        self._options = flow.FlowOptions(keep=rooms.settings.keep.posts)
        self._rules = Rulebook(rooms.control)
        keeper = WindowKeeper(rooms.store, rooms.settings.weights.model_dump())
        self._windows = WindowThread(keeper, rooms.clock, lambda s: self.took("windows", s))
        self._sealer = Sealer(rooms)
        self._families = Families(rooms.store, rooms.clock)
        self._tallies = Tallies(rooms.store)
        self._gaps_seen = int(rooms.store.facts(GAPS).get(GAPS, "0"))
        self._ahead = ThreadPoolExecutor(1, "prepare")
        self._next: Future[flow.Matched | None] | None = None
        self._due: dict[str, float] = {}
        self._rate = Rate()
        self._lag_s = 0.0
        self._lags = False
        self._began = (self._clock.now(), self._clock.monotonic())
        self.pulse = Pulse(started_at=self._clock.now().isoformat())

    def step(self) -> int:
        """Work off one batch; returns how many records it had (0: the log has nothing new).

        Raises:
            RetryableError: Nothing of the batch was committed; the next step does it again.
        """
        matched = self._take()
        if matched is None:
            self._lags = False
            self._commit_gaps_alone()
            return 0
        prepared, records = matched.prepared, matched.prepared.records
        after = int(records["offset"][-1]) + 1
        self._next = self._ahead.submit(self._prepare, after)
        with self._timed("state"):
            state = self._store.state(prepared.wanted)
            state = flow.with_texts(state, self._store.known_texts(prepared.text_hashes))
        with self._timed("pipeline"):
            flowed = flow.run(matched, state, self._options)
        with self._timed("store"):
            self._commit(records, flowed, state, after)
        self._lags = records.height >= self._rooms.settings.batch
        self._windows.note(flowed, after)
        self._count(records)
        if _seal_asked(records):
            self._sealer.seal()
        return records.height

    def run(self, stop: Event) -> None:
        """Work until told to stop, then finish the batch in hand and leave everything tidy.

        What may pass (a full disk, a file that another process holds) is waited for.
        """
        say.info("engine started", offset=self._offset, head=self._log.head())
        tries = 0
        try:
            while not stop.is_set():
                try:
                    worked = self.step()
                    self.upkeep(idle=worked == 0)
                except (EarshotError, OSError) as e:
                    if not _may_pass(e):
                        raise
                    wait = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
                    tries += 1
                    self._held(e, wait)
                    stop.wait(wait)
                    continue
                tries, self.pulse.trouble = 0, ""
                if worked == 0:
                    stop.wait(IDLE_S)
        except BaseException:
            self.abandon()
            raise
        self.close()

    def drain(self, *, progress: Callable[[int], None] | None = None) -> None:
        """Work until the log is empty, all windows are made and all closed days are settled.

        For commands without an engine.
        """
        while worked := self.step():
            self.upkeep()
            if progress:
                progress(worked)
        self.settle()
        self._families.finish()

    def settle(self) -> None:
        """Make every dirty window and tell how the engine is."""
        self._windows.settle()
        self._note()

    def close(self) -> None:
        """Make what is open, seal the lake, end the threads."""
        try:
            self._ahead.shutdown(wait=True, cancel_futures=True)
            self.settle()
            self._sealer.seal()
            say.info("engine stopped", offset=self._offset)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End the threads and nothing else: what is open is found again, as after a crash."""
        self._ahead.shutdown(wait=True, cancel_futures=True)
        self._windows.close()
        self._rules.close()
        self._sealer.close()
        self._families.close()

    # -- parts of a step -------------------------------------------------------------------
    def _take(self) -> flow.Matched | None:
        waiting, self._next = self._next, None
        matched = waiting.result() if waiting is not None else None
        if matched is None or matched.prepared.records["offset"][0] != self._offset:
            return self._prepare(self._offset)
        return matched

    def _prepare(self, offset: int) -> flow.Matched | None:
        """Do all that needs no knowledge of the store; never on two threads at once."""
        if self._is_due("rules", LOOK_AT_RULES_EVERY_S):
            self._rules.look()
        with self._timed("log"):
            records = self._log.read(offset, limit=self._rooms.settings.batch)
        if records.height == 0:
            return None
        with self._timed("decode"):
            prepared = flow.prepare(records)
        newest: dt.datetime = records["received_at"].max()  # type: ignore[assignment]  # times, and there is one
        with self._timed("match"):
            return flow.matched(prepared, self._rules.ready(newest), self._options)

    def _commit(self, records: pl.DataFrame, flowed: flow.Flowed, state: State, after: int) -> None:
        """Put a batch in, whole; then remember that it is."""
        changes = flowed.changes
        tallies = self._tallies.with_batch(records, flowed.classes, flowed.embedded_in)
        gaps = self._log.gaps(self._gaps_seen)
        notes = {**notes_of(tallies), **self._sealer.notes(changes), **_gap_note(gaps)}
        self._sealer.erase(changes)
        self._store.commit(changes, offset=after, at=self._clock.now(), gaps=gaps, notes=notes)
        self._offset = after
        self._saw(gaps)
        self._tallies.keep(tallies)
        self._sealer.note(changes, state)

    def _commit_gaps_alone(self) -> None:
        if self._is_due("gaps", NOTE_EVERY_S) and (gaps := self._log.gaps(self._gaps_seen)).height:
            self._store.commit(
                flow.Changes.none(),
                offset=self._offset,
                at=self._clock.now(),
                gaps=gaps,
                notes=_gap_note(gaps),
            )
            self._saw(gaps)

    def _saw(self, gaps: pl.DataFrame) -> None:
        if gaps.height:
            self._gaps_seen = int(gaps["seq"][-1])

    def _count(self, records: pl.DataFrame) -> None:
        self.pulse.batches += 1
        self.pulse.records += records.height
        self._rate.add(self._clock.monotonic(), records.height)
        newest = records["received_at"][-1]
        self._lag_s = max(0.0, (self._clock.now() - newest).total_seconds())

    def _held(self, error: BaseException, wait: float) -> None:
        """Tell that the engine waits, and why; the disk that fails may refuse this as well."""
        if self._next is not None:
            self._next.exception()  # it ends, and is done again
            self._next = None
        hint = getattr(error, "hint", "")
        self.pulse.trouble = f"{error}: {hint}" if hint else str(error)
        say.error("engine waits and tries again", why=str(error), hint=hint, wait_s=wait)
        try:
            self._note()
        except (EarshotError, OSError) as e:
            say.warning("the engine's state could not be noted", why=str(e))

    # -- upkeep ----------------------------------------------------------------------------
    def upkeep(self, *, idle: bool = False) -> None:
        """Do what is due beside the flow; what can wait waits until the log is empty (`idle`)."""
        if not self._windows.busy and self._is_due("windows", WINDOWS_EVERY_S):
            took = self._windows.flush(lagging=self._lags)
            self._due["windows"] = self.now() + max(WINDOWS_EVERY_S, WINDOWS_REST * took)
        if self._is_due("note", NOTE_EVERY_S):
            self._note()
        if self._is_due("trim", TRIM_EVERY_S) and self._log_presses():
            self._trim()
        if self._is_due("retire", RETIRE_EVERY_S, grace=0.0 if idle else RETIRE_LATEST_S):
            self._retire()
        if self._sealer.due():
            self._sealer.advance()
        self._families.advance()

    def _log_presses(self) -> bool:
        """Whether what was worked off takes room that collectors may be waiting for."""
        return self._log.size() > self._rooms.settings.keep.log_gigabytes * 1e9 / 2

    def _trim(self) -> None:
        keep, now = self._rooms.settings.keep, self._trusted_now()
        self._log.trim(
            upto=self._offset,
            before=now - dt.timedelta(hours=keep.log_hours),
            max_bytes=int(keep.log_gigabytes * 1e9 / 2),
        )

    def _trusted_now(self) -> dt.datetime:
        """Now, for what removes for ever: a clock that is set forward removes nothing early.

        It may have gone on since the start by what passed, and by LEAP for what sets it right.
        """
        passed = dt.timedelta(seconds=self._clock.monotonic() - self._began[1])
        return min(self._clock.now(), self._began[0] + passed + LEAP)

    def _retire(self) -> None:
        keep, now = self._rooms.settings.keep, self._trusted_now()
        self._store.retire(
            before=now - dt.timedelta(days=keep.days),
            max_bytes=int(keep.gigabytes * 1e9),
            at=now,
        )
        self._trim()

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
            "trouble": pulse.trouble,
        }
        self._store.note("engine", msgspec.json.encode(note).decode())

    def _is_due(self, what: str, every: float, *, grace: float = 0.0) -> bool:
        now = self._clock.monotonic()
        if now < self._due.setdefault(what, now) + grace:
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


def _refuse_another_log(rooms: Rooms, offset: int) -> None:
    """A log that was lost or exchanged would be skipped up to the store's offset, in silence."""
    if offset > (head := rooms.log.head()):
        settings = rooms.settings
        msg = f"the store ({settings.store}) is at record {offset:,}, the log ({settings.log}) ends"
        msg += f" at {head:,}: they do not belong together"
        raise ConfigError(msg, hint="bring back the log's file, or start with another --home")


def _may_pass(error: BaseException) -> bool:
    """Whether the same step may succeed later."""
    return isinstance(error, (RetryableError, OSError))


def _gap_note(gaps: pl.DataFrame) -> dict[str, str]:
    return {GAPS: str(gaps["seq"][-1])} if gaps.height else {}


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
