"""Who wrote it: asked for politely, told as records, never in anybody's way."""

import asyncio
import json
import random
from contextlib import aclosing

import pytest
from tests.simulators.jetstream import JetstreamSimulator, refused
from tests.simulators.jetstream_world import People

from earshot.clock import SystemClock
from earshot.errors import ConfigError
from earshot.sources.bluesky import Manners, ProfileResolver
from earshot.testing.sources import items_of


class HandClock(SystemClock):
    """Seconds pass when somebody sleeps, and all sleeps are noted."""

    def __init__(self):
        self.seconds, self.slept = 1000.0, []

    def monotonic(self):
        return self.seconds

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


@pytest.fixture
def sim():
    with JetstreamSimulator(people=People(crowd=60)) as running:
        yield running


def resolver(sim, clock=None, **manners):
    clock = clock or HandClock()
    return ProfileResolver(
        sim.http,
        clock=clock,
        manners=Manners(**manners),
        sleep=clock.sleep,
        rng=random.Random(3),
    )


def pull(profiles, until, *, before=None):
    """Chunks until so many profiles came."""

    async def run():
        chunks = []
        async with asyncio.timeout(10), aclosing(profiles.stream()) as stream:
            async for chunk in stream:
                chunks.append(chunk)
                if before:
                    before(chunk)
                if len(items_of(chunks)) >= until:
                    break
        return chunks

    return asyncio.run(run())


def test_a_profile_comes_as_an_author_update_record(sim):
    did = sim.people.dids[3]
    profiles = resolver(sim)
    profiles.offer([did])
    [item] = items_of(pull(profiles, 1))
    assert (item.source, item.format, item.key) == ("earshot", "earshot", did)
    assert json.loads(item.raw) == {
        "kind": "author_update",
        "source": "bluesky",
        "author_id": did,
        "profile": {
            "handle": "neighbour3.example",
            "name": "Neighbour 3",
            "bio": "lives by the canal",
            "location": None,
            "followers": 33,
            "verified": True,
        },
    }


def test_at_most_twenty_five_are_asked_in_one_call(sim):
    profiles = resolver(sim)
    assert profiles.offer(sim.people.dids) == 60
    items = items_of(pull(profiles, 60))
    assert {i.key for i in items} == set(sim.people.dids)
    assert [len(dids) for _, dids in sim.profile_calls] == [25, 25, 10]


def test_who_is_known_is_not_asked_again_until_the_profile_is_old(sim):
    clock = HandClock()
    profiles = resolver(sim, clock, ttl=3600)
    dids = sim.people.dids[:5]
    profiles.offer(dids)
    pull(profiles, 5)
    assert profiles.offer(dids) == 0
    clock.seconds += 3601
    assert profiles.offer(dids) == 5


def test_who_does_not_exist_is_remembered_too(sim):
    stranger = "did:plc:" + "z" * 24
    profiles = resolver(sim)
    profiles.offer([stranger, sim.people.dids[0]])
    assert len(items_of(pull(profiles, 1))) == 1
    assert profiles.offer([stranger]) == 0


def test_what_is_no_did_is_never_asked_for(sim):
    profiles = resolver(sim)
    assert profiles.offer(["", "neighbour1.example", "did:plc:short", "did:key:z6Mk"]) == 0
    assert profiles.waiting == 0


def test_memory_is_bounded_however_many_are_offered(sim):
    clock = HandClock()
    profiles = resolver(sim, clock, pending=40, known=30)
    assert profiles.offer(sim.people.dids) == 40
    assert profiles.waiting == 40
    pull(profiles, 40)
    assert profiles.offer(sim.people.dids[:10]) == 10, "the oldest were forgotten"
    assert profiles.offer(sim.people.dids[10:40]) == 0


def test_calls_keep_the_pace(sim):
    clock = HandClock()
    profiles = resolver(sim, clock, calls_per_second=0.5)
    profiles.offer(sim.people.dids)
    pull(profiles, 60)
    assert len(sim.profile_calls) == 3
    assert sum(clock.slept) >= 2 * 2.0


@pytest.mark.parametrize(
    ("answer", "least"),
    [
        (refused(429, ("Retry-After", "90")), 90),
        (refused(429, ("RateLimit-Reset", "9999999999")), 300),
        (refused(429), 1),
        (refused(502), 1),
    ],
)
def test_a_refusal_is_waited_out_and_nobody_is_forgotten(sim, answer, least):
    clock = HandClock()
    sim.profile_faults.append(answer)
    profiles = resolver(sim, clock)
    profiles.offer(sim.people.dids[:3])
    chunks = pull(profiles, 3)
    assert {i.key for i in items_of(chunks)} == set(sim.people.dids[:3])
    assert max(clock.slept) >= least
    assert [c.state for c in chunks if c.state] == ["live", "waiting", "live"]


def test_an_answer_that_is_no_answer_counts_as_a_refusal(sim):
    broken = refused(200)
    broken.body = b'{"profiles": [{"handle'
    broken.headers["X-Test"] = "1"
    del broken.headers["Content-Length"]
    broken.headers["Content-Length"] = str(len(broken.body))
    sim.profile_faults.append(broken)
    profiles = resolver(sim)
    profiles.offer(sim.people.dids[:3])
    assert len(items_of(pull(profiles, 3))) == 3


def test_one_bad_author_takes_no_other_with_it(sim):
    """A DID that only the service finds wrong refuses the whole call; halving finds it."""
    bad = "did:web:-"
    sim.wrong.add(bad)
    profiles = resolver(sim)
    profiles.offer([*sim.people.dids[:7], bad, *sim.people.dids[7:14]])
    assert len(items_of(pull(profiles, 14))) == 14
    assert profiles.offer([bad]) == 0


def test_offering_while_it_runs_wakes_it(sim):
    profiles = resolver(sim)
    chunks = pull(profiles, 2, before=lambda _: profiles.offer(sim.people.dids[:2]))
    assert len(items_of(chunks)) == 2


@pytest.mark.parametrize("service", ["http://api.example", "ftp://127.0.0.1.example", ""])
def test_profiles_are_only_asked_over_https_or_on_this_machine(service):
    with pytest.raises(ConfigError, match="neither https nor on this machine"):
        ProfileResolver(service, clock=SystemClock())


def test_https_is_taken():
    assert ProfileResolver("https://public.api.bsky.app", clock=SystemClock()).waiting == 0
