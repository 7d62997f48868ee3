"""What happens: who does what, when, about what and to whom, as columns, step by step.

Time is cut into steps of equal length, counted from 1970. The rows of a step follow from the law
and the step's number alone; what they answer, like or delete is sought in the steps right before.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final

import numpy as np

from earshot.sources._world import noise
from earshot.sources._world.noise import F64, I64, U64, Bool
from earshot.sources._world.people import (
    BLUESKY,
    MEETUP,
    PLACES,
    REDDIT,
    TOPICS,
    People,
    populate,
)

KINDS: Final = (
    "post",
    "reply",
    "quote",
    "repost",
    "like",
    "follow",
    "delete",
    "edit",
    "unlike",
    "identity",
    "account",
    "rsvp",
)
POST, REPLY, QUOTE, REPOST, LIKE, FOLLOW, DELETE, EDIT, UNLIKE, IDENTITY, ACCOUNT, RSVP = range(12)

_MIX: Final = np.array([0.70, 0.19, 0.06, 0.04, 0.01])
"""Share of each network in the records."""
_HABITS: Final = np.cumsum(
    [
        # post reply quote repost like follow delete edit unlike identity account rsvp
        [0.505, 0.24, 0.05, 0.04, 0.11, 0.02, 0.018, 0.005, 0.003, 0.005, 0.004, 0.0],
        [0.40, 0.24, 0.06, 0.27, 0.0, 0.0, 0.025, 0.005, 0.0, 0.0, 0.0, 0.0],
        [0.55, 0.25, 0.02, 0.14, 0.0, 0.0, 0.02, 0.02, 0.0, 0.0, 0.0, 0.0],
        [0.30, 0.70, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    ],
    axis=1,
)
"""How often people of a network do what, as running totals."""
_CREATES: Final = 0.85
"""Share of the records that are posts of some kind, so that a rate of posts can be asked for."""
_BURST_SLOT: Final = 180_000_000
_FAMILY_SLOT: Final = 120_000_000
_FAMILIES: Final = 5
_IN_FAMILY: Final = 0.03
_AVERAGE_BURST: Final = 0.36
"""What bursts add to the rate on average."""
_AT_HOME: Final = 0.78
"""How often people turn to somebody of their own community."""
_REMEMBERED: Final = 12_000
"""About how many records back people answer to."""
MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Law:
    """All that the world follows from."""

    seed: int = 7
    rate: float = 20.0
    """Posts a second of event time, on the average of a day."""
    people: int = 3000

    @property
    def base(self) -> float:
        """Records a second, without bursts."""
        return self.rate / _CREATES / (1 + _AVERAGE_BURST)

    @property
    def step(self) -> int:
        """Length of a step in µs: about 4,096 records, at least 1 s, at most 240 s."""
        return int(min(240.0, max(1.0, 4096 / self.base)) * MICROS)

    @property
    def memory(self) -> int:
        """Steps that people remember."""
        return max(2, round(_REMEMBERED / (self.base * self.step / MICROS)))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What happens in some steps, in order of time."""

    at: I64
    """µs since 1970."""
    seq: I64
    """Number within the step."""
    uid: U64
    """A hash no other row has; all that is drawn for the row is drawn by it."""
    person: I64
    kind: I64
    topic: I64
    """-1: none."""
    burst: I64
    """Number of the burst that it belongs to; -1: none."""
    family: I64
    """Number of the text that it copies; -1: none."""

    def take(self, which: "I64 | Bool | slice") -> "Rows":
        """Some of the rows."""
        return Rows(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A step, with what its rows refer to."""

    law: Law
    people: People
    rows: Rows
    """The step and what is remembered before it."""
    first: int
    """Where the step begins in `rows`."""
    target: I64
    """Of each row of the step: the row that it answers, quotes, likes, deletes …; -1: none."""
    root: I64
    """The row that began the thread; -1: none."""
    whom: I64
    """The person who is followed; else the author of `target`, -1: none."""


@dataclass(frozen=True, slots=True, eq=False)
class Bursts:
    """Planted bursts: more posts than usual, about one topic."""

    number: I64
    topic: I64
    start: I64
    end: I64
    factor: F64
    """What it adds at its height, as a multiple of the usual rate."""


def bursts(law: Law, since: int, until: int) -> Bursts:
    """Bursts that touch the time from `since` to `until`, in µs."""
    number = np.arange(since // _BURST_SLOT - 1, until // _BURST_SLOT + 1)
    key = noise.mix(number, noise.one(law.seed, 50) & 0xFFFFFFFF)
    number, key = number[there := noise.chance(key, 51, 0.85)], key[there]
    start = number * _BURST_SLOT + (noise.unit(key, 52) * 0.4 * _BURST_SLOT).astype(np.int64)
    end = start + ((40 + 50 * noise.unit(key, 53)) * MICROS).astype(np.int64)
    touches = (end > since) & (start < until)
    all_of = Bursts(
        number, noise.below(key, 54, TOPICS), start, end, 0.6 + 1.4 * noise.unit(key, 55)
    )
    return Bursts(**{f.name: getattr(all_of, f.name)[touches] for f in fields(all_of)})


def awake(at: int, zone: I64) -> F64:
    """How active people are, by the hour of their day: little at four, most in the evening."""
    hour = at / (3600 * MICROS) + zone
    drowsy: F64 = 0.5 + 0.5 * np.cos(2 * np.pi * (hour - 5) / 24)
    return 0.25 + 1.4 * (1 - drowsy) ** 1.3


@lru_cache(maxsize=128)
def happenings(law: Law, step: int) -> Rows:
    """The rows of one step, without what they refer to."""
    people = populate(law.seed, law.people)
    since = step * law.step
    zones = np.array([PLACES[p].zone for p in people.place])
    alive = people.weight * awake(since, zones)
    share = _MIX[people.home] * alive / np.bincount(people.home, alive)[people.home]
    hour = float((share * awake(since, zones)).sum() / share.sum() / 0.98)
    at, burst, topic = _times(law, step, hour)
    seq = np.arange(len(at))
    uid = noise.mix(seq + (step << 20), noise.one(law.seed, 60) & 0xFFFFFFFF)
    person = _persons(people, uid, noise.choose(uid, 61, share))
    network = people.network[person]
    kind = _kinds(uid, network, people.spammer[person], burst >= 0)
    family = at // _FAMILY_SLOT - noise.below(uid, 70, _FAMILIES)
    copies = (kind == POST) & (network < REDDIT) & ~people.spammer[person] & (burst < 0)
    copies &= noise.chance(uid, 71, _IN_FAMILY)
    own = people.topics[people.community[person], noise.below(uid, 72, 3)]
    theirs = np.where(noise.chance(uid, 73, 0.7), own, noise.below(uid, 74, TOPICS))
    theirs = np.where(noise.chance(uid, 75, 0.14), -1, theirs)
    return Rows(
        at=at,
        seq=seq,
        uid=uid,
        person=person,
        kind=kind,
        topic=np.where(burst >= 0, topic, theirs),
        burst=burst,
        family=np.where(copies, family, -1),
    )


def _times(law: Law, step: int, hour: float) -> tuple[I64, I64, I64]:
    """When something happens in a step, as part of which burst, about which topic of it."""
    since, until = step * law.step, (step + 1) * law.step
    drawn = _draw(law, step, 0, (0.0, 1.0), law.base * hour * law.step)
    parts = [since + (drawn * law.step).astype(np.int64)]
    number, topic = [np.full(len(parts[0]), -1)], [np.full(len(parts[0]), -1)]
    found = bursts(law, since, until)
    for n in range(len(found.number)):
        start, end = int(found.start[n]), int(found.end[n])
        length = end - start
        span = (max(start, since) - start) / length, (min(end, until) - start) / length
        rate = law.base * hour * float(found.factor[n])
        drawn = _draw(law, step, 1 + n, (_so_far(span[0]), _so_far(span[1])), rate * length * 0.9)
        parts.append(start + ((1 - np.sqrt(1 - 0.96 * drawn)) / 0.8 * length).astype(np.int64))
        number.append(np.full(len(parts[-1]), int(found.number[n])))
        topic.append(np.full(len(parts[-1]), int(found.topic[n])))
    at = np.concatenate(parts)
    order = np.argsort(at, kind="stable")
    return at[order], np.concatenate(number)[order], np.concatenate(topic)[order]


def _so_far(part: float) -> float:
    """Share of a burst's posts in this first part of it: it begins high and falls steadily."""
    return (part - 0.4 * part * part) / 0.6


def _draw(law: Law, step: int, salt: int, span: tuple[float, float], whole: float) -> F64:
    """Numbers in a span, so many that there would be `whole` µs-worth of records from 0 to 1."""
    chosen = noise.one(noise.one(law.seed, step & 0xFFFFFFFF), salt)
    count = int(whole / MICROS * (span[1] - span[0]) + (chosen >> 11) / (1 << 53))
    return span[0] + noise.unit(np.arange(count) + (chosen & 0xFFFFFFFF), 62) * (span[1] - span[0])


def _persons(people: People, uid: U64, community: I64) -> I64:
    """Somebody of each community, the busy ones more often."""
    total = np.concatenate([[0.0], people.activity])
    low, high = total[people.first[community]], total[people.first[community + 1]]
    drawn = low + noise.unit(uid, 63) * (high - low)
    at = np.searchsorted(people.activity, drawn, side="right")
    person: I64 = np.clip(at, people.first[community], people.first[community + 1] - 1)
    return person.astype(np.int64)


def _kinds(uid: U64, network: I64, spammer: Bool, bursting: Bool) -> I64:
    """What each does; in a burst people write, and spammers do nothing else."""
    drawn = noise.unit(uid, 64)
    drawn = np.where(bursting, drawn * _HABITS[network, QUOTE], drawn)
    kind = (drawn[:, None] >= _HABITS[network]).sum(axis=1).clip(0, RSVP)
    kind = np.where(spammer & (network != MEETUP) & (kind < LIKE), POST, kind)
    return np.where(network == MEETUP, RSVP, kind)


def scene(law: Law, step: int) -> Scene:
    """The rows of one step with all that they refer to."""
    people = populate(law.seed, law.people)
    steps = [happenings(law, n) for n in range(step - law.memory, step + 1)]
    rows = Rows(
        **{f.name: np.concatenate([getattr(s, f.name) for s in steps]) for f in fields(Rows)}
    )
    first = len(rows.at) - len(steps[-1].at)
    seeker = _Seeker(people, rows, first)
    target = np.full(len(rows.at) - first, -1)
    now = rows.take(slice(first, None))
    shared = (rows.kind == POST) & ~people.spammer[rows.person] & (rows.family < 0)
    mine = ((rows.kind == POST) | (rows.kind == REPLY)) & (people.network[rows.person] < REDDIT)
    for kinds, among in (
        ((REPLY, QUOTE, REPOST, LIKE), shared),
        ((DELETE,), mine),
        ((EDIT,), mine & (rows.kind == POST)),
        ((UNLIKE,), rows.kind == LIKE),
    ):
        seeks = np.isin(now.kind, kinds)
        target[seeks] = seeker.seek(among, np.flatnonzero(seeks), at_home=REPLY in kinds)
    # Who finds nothing to answer, at the very beginning, says something instead.
    kind = np.where((target < 0) & (now.kind != FOLLOW) & (now.kind < IDENTITY), POST, now.kind)
    root = np.where(kind == REPLY, target, -1)
    target = _chained(first, now, target, kind)
    followed = _persons(people, noise.mix(now.uid, 66), people.community[now.person])
    authors = np.where(target >= 0, rows.person[target], -1)
    takes_over = np.isin(kind, (DELETE, EDIT, UNLIKE))
    person = np.where(takes_over, authors, now.person)
    person = np.where(kind == ACCOUNT, _spammer(people, now), person)
    topic = np.where(
        (kind == EDIT) | (kind == REPLY), rows.topic[np.maximum(root, target)], now.topic
    )
    rows.kind[first:], rows.person[first:], rows.topic[first:] = kind, person, topic
    return Scene(
        law, people, rows, first, target, root, np.where(kind == FOLLOW, followed, authors)
    )


class _Seeker:
    """Finds rows that were before others and that people would turn to."""

    def __init__(self, people: People, rows: Rows, first: int) -> None:
        self._rows, self._first = rows, first
        self._groups = people.community[rows.person], people.network[rows.person]
        self._fame = fame(rows.uid)

    def seek(self, among: Bool, who: I64, *, at_home: bool) -> I64:
        """One of `among` for each row `who` of the step; -1 where there is none before it."""
        uid = self._rows.uid[self._first + who]
        wide = self._within(among, who, self._groups[1], noise.unit(uid, 67))
        if not at_home:
            return wide
        near = self._within(among, who, self._groups[0], noise.unit(uid, 68))
        return np.where((near >= 0) & (noise.chance(uid, 69, _AT_HOME) | (wide < 0)), near, wide)

    def _within(self, among: Bool, who: I64, group: I64, drawn: F64) -> I64:
        """One of the same group that was before, the famous ones more often."""
        rows = np.flatnonzero(among)
        if not len(rows):
            return np.full(len(who), -1)
        rows = rows[np.argsort(group[rows], kind="stable")]
        place = group[rows] * (1 << 32) + rows
        here = self._first + who
        low = np.searchsorted(place, group[here] * (1 << 32))
        high = np.searchsorted(place, group[here] * (1 << 32) + here)
        total = np.concatenate([[0.0], np.cumsum(self._fame[rows])])
        aim = total[low] + drawn * (total[high] - total[low])
        found = np.clip(
            np.searchsorted(total, aim, side="right") - 1, low, np.maximum(low, high - 1)
        )
        return np.where(high > low, rows[np.minimum(found, len(rows) - 1)], -1)


def fame(uid: U64) -> F64:
    """How much a post draws attention: few do, but then much."""
    drawn: F64 = (noise.unit(uid, 65) + 0.002) ** -0.8
    return drawn


def _chained(first: int, now: Rows, target: I64, kind: I64) -> I64:
    """Let some replies answer the reply before them in the same thread, not its first post."""
    replies = np.flatnonzero(kind == REPLY)
    order = replies[np.argsort(target[replies], kind="stable")]
    follows = np.zeros(len(order), bool)
    follows[1:] = target[order[1:]] == target[order[:-1]]
    follows &= noise.chance(now.uid[order], 76, 0.75)
    before = np.concatenate([[0], order[:-1]]) if len(order) else order
    chained = target.copy()
    chained[order[follows]] = first + before[follows]
    return chained


def _spammer(people: People, now: Rows) -> I64:
    """A Bluesky account that is taken down, or comes back."""
    some = np.flatnonzero(people.spammer & (people.network == BLUESKY))
    some = some if len(some) else np.array([0])
    return some[noise.below(now.uid, 77, len(some))]
