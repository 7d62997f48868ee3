"""Windows are made beside the flow: on a thread of their own, batch by batch, in order.

While the next batch is committed, the last one is counted. Few batches wait at most; then the flow
does. What fails there is raised by the next call here, so the flow waits and tries again.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from earshot.clock import Clock
from earshot.engine.windows import Flowed, WindowKeeper

WAITING: Final = 2
"""So many batches wait to be counted at most."""


class WindowThread:
    """A `WindowKeeper` on a thread of its own.

    Args:
        keeper: Nobody else may call it.
        clock: Of the windows' feed and pacing.
        took: Is told the seconds of each piece of work.
    """

    def __init__(self, keeper: WindowKeeper, clock: Clock, took: Callable[[float], None]) -> None:
        self._keeper, self._clock, self._took = keeper, clock, took
        self._pool = ThreadPoolExecutor(1, "windows")
        self._noting: deque[Future[float]] = deque()
        self._flushing: Future[float] | None = None

    def note(self, flowed: Flowed, offset: int) -> None:
        """Have a batch counted that was just committed; waits while too many others wait."""
        self._noting.append(
            self._pool.submit(self._timed, lambda: self._keeper.note(flowed, offset=offset))
        )
        while len(self._noting) > WAITING or (self._noting and self._noting[0].done()):
            self._noting.popleft().result()

    @property
    def busy(self) -> bool:
        """Whether windows are being made."""
        return self._flushing is not None and not self._flushing.done()

    def flush(self, *, lagging: bool) -> float:
        """Start to make what is dirty; returns how many seconds that took the last time.

        Args:
            lagging: Leave minutes that still fill alone for a while.

        Raises:
            RetryableError: The last flush failed with it; the next makes what it did not.
        """
        last, self._flushing = self._flushing, None
        seconds = last.result() if last is not None else 0.0
        self._flushing = self._pool.submit(self._timed, lambda: self._flush(lagging=lagging))
        return seconds

    def settle(self) -> None:
        """Count what waits and make every window; returns when all is done."""
        while self._noting:
            self._noting.popleft().result()
        if (last := self._flushing) is not None:
            self._flushing = None
            last.exception()  # what it failed to make is made now
        self._pool.submit(self._timed, lambda: self._flush(everything=True)).result()

    def close(self) -> None:
        """End the thread and nothing else: what is open is found again, as after a crash."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _flush(self, *, everything: bool = False, lagging: bool = False) -> None:
        self._keeper.flush(self._clock.now(), everything=everything, lagging=lagging)

    def _timed(self, work: Callable[[], object]) -> float:
        began = self._clock.monotonic()
        work()
        seconds = self._clock.monotonic() - began
        self._took(seconds)
        return seconds
