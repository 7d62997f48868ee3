"""How long to wait before the next try: longer each time, never the same for everybody."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubling waits with jitter, each between half and all of `base` · 2ⁿ, at most `cap` seconds.

    A server that comes back meets its clients spread over time, and one that drops every
    connection at once is asked ever less often: there is no loop without a wait in it.
    """

    base: float
    cap: float
    rng: random.Random
    tries: int = 0
    """Failures in a row."""

    def next(self, at_least: float = 0.0) -> float:
        """Count a failure; seconds to wait now, but no less than the server asked for."""
        whole = min(self.cap, self.base * 2.0 ** min(self.tries, 32))
        self.tries += 1
        return max(at_least, self.rng.uniform(whole / 2, whole))

    def reset(self) -> None:
        """Forget the failures: it works again."""
        self.tries = 0
