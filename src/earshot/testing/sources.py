"""What every source must keep, as tests; shipped, so that plug-ins can run them too.

A subclass gives two fixtures: `scheme`, the URL scheme, and `make_source`, a function without
arguments that opens the source anew over the same small world (an archive in a folder, a seeded
world, a simulator on a socket). The world holds at least `SourceContract.enough` items, or keeps
publishing if it is live, and gives the same bytes each time it is read from the same cursor.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import ClassVar, cast

from earshot.rooms import schemes
from earshot.sources import Capabilities, Chunk, Item, Source

MakeSource = Callable[[], Source]

STATES = frozenset({"", "connecting", "live", "catching_up", "waiting", "done"})
GAP_REASONS = frozenset(
    {"disconnect", "rate_limit", "clamped_cursor", "crash", "quarantine", "log_full", "slow"}
)


async def take(
    source: Source, cursor: str | None, items: int, *, seconds: float = 20
) -> list[Chunk]:
    """Pull chunks after `cursor` until `items` items came or the source ended; then close it.

    Args:
        source: The source to pull from.
        cursor: Where to go on; None: from the source's own beginning.
        items: How many items are enough; the last chunk may bring more.
        seconds: How long this may take.

    Raises:
        TimeoutError: The source neither gave so many nor ended within `seconds`.
    """
    chunks: list[Chunk] = []
    stream = cast("AsyncGenerator[Chunk, None]", source.stream(cursor))
    async with asyncio.timeout(seconds), aclosing(stream):
        async for chunk in stream:
            chunks.append(chunk)
            if sum(_size(c) for c in chunks) >= items:
                break
    return chunks


def items_of(chunks: list[Chunk]) -> list[Item]:
    """All items of `chunks`, in order, whether they came as items or as a frame."""
    return [item for chunk in chunks for item in (*chunk.items, *_unframed(chunk))]


def _unframed(chunk: Chunk) -> list[Item]:
    columns = ("source", "format", "raw", "key", "headers", "received_at")
    return [] if chunk.frame is None else [Item(*r) for r in chunk.frame.select(columns).rows()]


def _size(chunk: Chunk) -> int:
    return len(chunk.items) + (0 if chunk.frame is None else chunk.frame.height)


class SourceContract:
    """The meaning of `Source`. Give it the fixtures `scheme` and `make_source`."""

    enough: ClassVar[int] = 30
    """How many items a law looks at; the world must hold at least as many."""

    def test_its_name_and_capabilities_are_data(self, scheme: str, make_source: MakeSource) -> None:
        """What a network can do is known before anything is opened."""
        source = make_source()
        assert source.name == scheme
        assert isinstance(source.capabilities, Capabilities)
        assert all(isinstance(op, str) for op in source.capabilities.push_down)

    def test_every_item_says_what_it_is(self, make_source: MakeSource) -> None:
        """A record without a known format could never be decoded."""
        items = items_of(asyncio.run(take(make_source(), None, self.enough)))
        assert len(items) >= self.enough
        assert {i.format for i in items} <= schemes("formats")
        assert all(i.source and i.raw for i in items)

    def test_a_time_of_reception_is_utc_and_not_in_the_future(
        self, make_source: MakeSource
    ) -> None:
        """None leaves the stamp to the collector; a naive or coming time would shift windows."""
        items = items_of(asyncio.run(take(make_source(), None, self.enough)))
        stamps = [i.received_at for i in items if i.received_at is not None]
        now = dt.datetime.now(dt.UTC)  # noqa: TID251 - compared with, never stored
        assert all(s.utcoffset() == dt.timedelta(0) for s in stamps)
        assert all(s <= now for s in stamps)

    def test_states_and_gaps_are_of_the_known_kinds(self, make_source: MakeSource) -> None:
        """Pages and charts know these words only."""
        chunks = asyncio.run(take(make_source(), None, self.enough))
        gaps = [gap for chunk in chunks for gap in chunk.gaps]
        assert {c.state for c in chunks} <= STATES
        assert {g.reason for g in gaps} <= GAP_REASONS
        assert all(g.since <= g.until for g in gaps)
        assert all(reason for c in chunks for _, reason in c.quarantine)

    def test_going_on_from_any_cursor_loses_nothing(self, make_source: MakeSource) -> None:
        """All that came after the cursor comes again; what came before may be repeated, once."""
        source = make_source()
        if not source.capabilities.resumable:
            return
        whole = asyncio.run(take(source, None, self.enough))
        marks = [n for n, chunk in enumerate(whole) if chunk.cursor is not None]
        assert marks, "no chunk carried a cursor"
        for mark in {marks[0], marks[len(marks) // 2], marks[-1]}:
            before = Counter(i.raw for i in items_of(whole[: mark + 1]))
            after = Counter(i.raw for i in items_of(whole[mark + 1 :]))
            budget = before.total() + after.total() if after else 0
            again = self._go_on(make_source(), whole[mark].cursor, after, budget)
            assert not after - again, "records after the cursor were lost"
            extra = again - after
            assert all(extra[raw] <= n for raw, n in before.items()), "repeated more than once"

    def _go_on(
        self, source: Source, cursor: str | None, wanted: Counter[bytes], budget: int
    ) -> Counter[bytes]:
        """What comes after `cursor`, until all of `wanted` came or `budget` items did."""

        async def pull() -> Counter[bytes]:
            came: Counter[bytes] = Counter()
            stream = cast("AsyncGenerator[Chunk, None]", source.stream(cursor))
            async with asyncio.timeout(20), aclosing(stream):
                while wanted - came and came.total() <= budget:
                    chunk = await anext(stream, None)
                    if chunk is None:
                        break
                    came.update(i.raw for i in items_of([chunk]))
            return came

        return asyncio.run(pull())

    def test_closing_the_iterator_leaves_nothing_behind(self, make_source: MakeSource) -> None:
        """No task, and so no connection or file that a task holds, outlives the iterator."""

        async def run() -> int:
            await take(make_source(), None, 1)
            return len(asyncio.all_tasks())

        assert asyncio.run(run()) == 1

    def test_an_archive_ends_and_a_live_network_does_not(self, make_source: MakeSource) -> None:
        """`capabilities.live` tells whether the end is ever reached."""
        source = make_source()
        if source.capabilities.live:
            return
        chunks = asyncio.run(take(source, None, 10**9))
        assert chunks[-1].state == "done"
