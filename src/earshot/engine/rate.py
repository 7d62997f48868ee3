"""How many a second, lately; in bounded memory whatever the rate."""

from collections import deque
from typing import Final

SPAN_S: Final = 10


class Rate:
    """Things a second over the last ten seconds, kept as one number for each second."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=SPAN_S + 1)

    def add(self, at: float, n: int) -> None:
        """Count `n` things at `at`, in seconds of a clock that only grows."""
        second = int(at)
        if self._seconds and self._seconds[-1][0] == second:
            n += self._seconds.pop()[1]
        self._seconds.append((second, n))

    def value(self, at: float) -> float:
        """Things a second, at `at`."""
        return round(sum(n for second, n in self._seconds if second > at - SPAN_S) / SPAN_S, 1)
