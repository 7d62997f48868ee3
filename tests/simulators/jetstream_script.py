"""What a test scripts and reads: faults, answers, the log of opening requests."""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulators.jetstream_log import METHOD
from websockets.datastructures import Headers
from websockets.http11 import Response


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one subscription.

    kind: refuse    answer the opening request with `status`
          drop      cut the connection, without a goodbye, after `after` frames
          close     say goodbye (1001) after `after` frames
          stall     send nothing more after `after` frames; pings are answered
          half_open neither send nor read after `after` frames
          duplicate send every frame from number `after` on twice
          garbage   send a text that is no frame in place `after`
          corrupt   send a packed frame that cannot be unpacked in place `after`
          too_slow  the terminal error ConsumerTooSlow after `after` frames
    """

    kind: str
    after: int = 0
    status: int = 503
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Connect:
    """One line of the assertion log: an opening request and its answer."""

    at: float
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    status: int

    @property
    def version(self) -> int:
        return 2 if METHOD in self.path else 1

    @property
    def cursor(self) -> int | None:
        return int(self.query["cursor"][0]) if "cursor" in self.query else None


def reply(status: int, body: bytes, kind: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    fields = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")]
    return Response(status, "", Headers([*fields, *headers]), body)


def error(name: str, message: str, version: int) -> Response:
    """An XRPC envelope on v2, plain text on v1."""
    if version == 1:
        return reply(400, message.encode() + b"\n", "text/plain")
    body = json.dumps({"error": name, "message": message}).encode()
    return reply(400, body, "application/json")


def refused(status: int, *headers: tuple[str, str]) -> Response:
    """An answer for `profile_faults`."""
    return reply(status, b'{"error":"RateLimitExceeded"}', "application/json", headers)


def dead_url() -> str:
    """Address of a port on which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{s.getsockname()[1]}"
