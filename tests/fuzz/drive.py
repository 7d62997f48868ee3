"""Batches of junk all the way into a store, and what must hold after each of them."""

import datetime as dt
import faulthandler
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from tests.fuzz.bases import anew
from tests.fuzz.junk import broken

from earshot import formats
from earshot.model.rule import RuleVersion
from earshot.model.schema import FLOW_CLASSES, RECORD
from earshot.pipeline import flow
from earshot.rules import CompiledRules, compile_rules
from earshot.store import Store, open_store

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
RULES = (
    "a",
    "the OR und",
    '"good morning"',
    "#a* -is:repost",
    "lang:en has:links",
    "from:ada",
    "漢",
)
HEADERS = ("", "", "", '{"archive":true}', '{"archive":true,"shift_us":86400000000}')
HANG_S = 120.0
"""So long one batch may take before the process shows where it stands, and ends."""
ALONE = 3
"""How many records of a batch are decoded a second time, alone."""

Bases = Mapping[str, Sequence[bytes]]


class FoundError(AssertionError):
    """Something that must hold did not."""


def records_of(bases: Bases, seed: int, batch: int, offset: int) -> pl.DataFrame:
    """RECORD rows of a batch; the same for the same seed and number."""
    rng = random.Random(f"{seed} {batch}")
    names = sorted(bases)
    some = rng.sample(names, rng.randint(1, len(names)))
    rows = [_record(bases, some, rng, offset + n) for n in range(_size(rng))]
    return pl.DataFrame(rows, RECORD, orient="row")


def _size(rng: random.Random) -> int:
    return rng.choice((1, 2, 17, 200, 500, 1_000, 2_000))


def _record(
    bases: Bases, names: Sequence[str], rng: random.Random, offset: int
) -> tuple[object, ...]:
    name = rng.choice(names)
    raw = broken(anew(rng.choice(bases[name]), rng), rng)
    read_as = name if rng.random() < 0.99 else rng.choice([*sorted(bases), "unreadable", ""])
    source = "" if read_as not in formats.names() else formats.get(read_as).SOURCE
    at = NOON + dt.timedelta(milliseconds=20 * offset)
    return (offset, source, "fuzz", read_as, at, "", rng.choice(HEADERS), raw)


@dataclass
class Fuzzer:
    """Works batches off into a store that begins anew every `home_records` records."""

    folder: Path
    bases: Bases
    seed: int = 1
    home_records: int = 50_000
    classes: Counter[str] = field(default_factory=Counter)
    records: int = 0
    batch: int = 0
    seconds: float = 0.0
    """Spent in the pipeline and the store, without the making of junk."""

    def __post_init__(self) -> None:
        self._rules = compile_rules(
            [RuleVersion(n, 1, 1, f"rule {n}", text, NOON) for n, text in enumerate(RULES, 1)]
        )
        self._homes = 0
        self._open()

    def step(self) -> None:
        """One batch.

        Raises:
            FoundError: What was found, with the seed and the number of the batch.
        """
        if self._here >= self.home_records:
            self.close()
            self._open()
        records = records_of(self.bases, self.seed, self.batch, self._here)
        try:
            self._guarded(records)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as e:  # a panic of polars is no Exception
            raise FoundError(self._told(records, e)) from e
        self._here += records.height
        self.records += records.height
        self.batch += 1

    def skip(self) -> None:
        """Go on behind a batch in which something was found, in a new home."""
        self._store.close()
        self.batch += 1
        self._open()

    def close(self) -> None:
        """End this home; what it counted must add up once more."""
        self._check_home()
        self._store.close()
        for file in self.folder.glob("home-*"):
            file.unlink()

    def _open(self) -> None:
        self._homes += 1
        self._here, self._home_classes = 0, Counter[str]()
        self._store = open_store(f"sqlite:///{self.folder}/home-{self._homes}.db", writable=True)

    def _guarded(self, records: pl.DataFrame) -> None:
        faulthandler.dump_traceback_later(HANG_S, exit=True, file=sys.__stderr__)
        began = time.perf_counter()
        try:
            decoded, flowed = worked(self._store, records, self._rules)
            self.seconds += time.perf_counter() - began
            check(records, flowed)
            rng = random.Random(f"alone {self.seed} {self.batch}")
            for row in rng.sample(range(records.height), min(ALONE, records.height)):
                check_alone(records, decoded, row)
        finally:
            faulthandler.cancel_dump_traceback_later()
        counted = Counter(flowed.classes.to_list())
        self.classes += counted
        self._home_classes += counted

    def _check_home(self) -> None:
        counts = self._store.counts().filter(
            pl.col("rule") == 0, pl.col("name").is_in(FLOW_CLASSES)
        )
        stored = Counter(
            {n: k for n, k in counts.group_by("name").agg(pl.col("n").sum()).rows() if k}
        )
        must(stored == self._home_classes, f"the store counted {stored}, not {self._home_classes}")

    def _told(self, records: pl.DataFrame, error: BaseException) -> str:
        """What happened and where; the batch is saved, and what is left of it that still fails."""
        saved = self.folder / f"failed-{self.seed}-{self.batch}.arrow"
        records.write_ipc(saved)
        least = self._least(records)
        shown = [(f, raw[:400]) for f, raw in least.select("format", "raw").head(3).iter_rows()]
        return (
            f"{type(error).__name__}: {str(error)[:2_000]}\nseed {self.seed}, batch {self.batch},"
            f" saved as {saved}; {least.height} records fail by themselves: {shown}"
        )

    def _least(self, records: pl.DataFrame) -> pl.DataFrame:
        """Halve for as long as one half fails in a store of its own."""
        while records.height > 1:
            half = records.height // 2
            failing = next((p for p in (records[:half], records[half:]) if self._fails(p)), None)
            if failing is None:
                break
            records = failing
        return records

    def _fails(self, records: pl.DataFrame) -> bool:
        path = self.folder / "alone.db"
        try:
            with open_store(f"sqlite:///{path}", writable=True) as store:
                decoded, flowed = worked(store, records, self._rules)
                check(records, flowed)
                for row in range(min(records.height, 20)):
                    check_alone(records, decoded, row)
        except BaseException:  # noqa: BLE001 - as above
            return True
        finally:
            for file in self.folder.glob("alone.db*"):
                file.unlink()
        return False


def worked(
    store: Store, records: pl.DataFrame, rules: CompiledRules
) -> tuple[formats.Decoded, flow.Flowed]:
    """One batch as an engine does it: what it was decoded to, and what it came to."""
    prepared = flow.prepare(records)
    state = store.state(prepared.wanted)
    state = flow.with_texts(state, store.known_texts(prepared.text_hashes))
    matched = flow.matched(prepared, rules, flow.FlowOptions())
    flowed = flow.run(matched, state, flow.FlowOptions())
    store.commit(flowed.changes, offset=records["offset"][-1] + 1, at=NOON)
    return prepared.decoded, flowed


def check(records: pl.DataFrame, flowed: flow.Flowed) -> None:
    """Every record is counted once, and what is quarantined says why and keeps its bytes."""
    classes, changes = flowed.classes, flowed.changes
    must(len(classes) == records.height, f"{len(classes)} classes for {records.height} records")
    must(bool(classes.is_in(list(FLOW_CLASSES)).all()), f"classes {classes.unique().to_list()}")
    counted = changes.counts.filter(pl.col("rule") == 0, pl.col("name").is_in(FLOW_CLASSES))
    must(counted["n"].sum() == records.height, f"{counted['n'].sum()} counted of {records.height}")
    bad = records.filter(classes == "quarantined")
    must(changes.quarantine["raw"].equals(bad["raw"]), "quarantine does not hold what it should")
    reasons = changes.quarantine["reason"]
    must(bool((reasons.fill_null("") != "").all()), "quarantined without a reason")
    must(bool((reasons.str.len_chars() < 2_000).all()), "a reason of more than 2,000 characters")


def check_alone(records: pl.DataFrame, decoded: formats.Decoded, row: int) -> None:
    """A record decodes to the same alone."""
    alone = formats.decode(records[row : row + 1])
    for name in ("posts", "events", "interactions", "outcome"):
        single = getattr(alone, name).drop("record")
        own = getattr(decoded, name).filter(pl.col("record") == row).select(single.columns)
        told = f"{own.rows()} / {single.rows()}"[:3_000]
        must(
            own.equals(single),
            f"record {row} ({records['format'][row]}): other {name} alone: {told}",
        )


def must(holds: bool, what: str) -> None:
    """Raise FoundError where it does not hold."""
    if not holds:
        raise FoundError(what)
