"""Token buckets: how often one address or one account may try something."""

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass

from earshot.api.problems import ProblemError
from earshot.clock import Clock

MOST_KEYS = 10_000
"""Buckets kept; the one not used for longest goes first."""


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Limiter:
    """Lets `burst` through at once and one more each `every` seconds, for each key."""

    def __init__(self, clock: Clock, *, burst: int, every: float) -> None:
        self._clock, self._burst, self._every = clock, burst, every
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Take one from the key's bucket.

        Raises:
            ProblemError: `too-many-requests`, with the seconds to wait.
        """
        now = self._clock.monotonic()
        with self._lock:
            bucket = self._buckets.setdefault(key, _Bucket(float(self._burst), now))
            self._buckets.move_to_end(key)
            while len(self._buckets) > MOST_KEYS:
                self._buckets.popitem(last=False)
            grown = bucket.level + (now - bucket.at) / self._every
            bucket.level, bucket.at = min(float(self._burst), grown), now
            if bucket.level < 1:
                raise ProblemError(
                    "too-many-requests", retry_after=(1 - bucket.level) * self._every
                )
            bucket.level -= 1

    def forgive(self, key: str) -> None:
        """Fill the key's bucket again: the try was a good one."""
        with self._lock:
            self._buckets.pop(key, None)


def network_of(address: str) -> str:
    """The key of an address: itself, or the /64 of an IPv6 one (a household owns as much)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((ip, 64), strict=False))
