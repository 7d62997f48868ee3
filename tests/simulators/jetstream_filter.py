"""What a subscriber asked for, checked before the upgrade as the server checks it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.simulators.jetstream_log import Witnessed

Query = Mapping[str, Sequence[str]]

NSID = re.compile(r"[a-zA-Z]([a-zA-Z0-9-]*)(\.[a-zA-Z0-9]([a-zA-Z0-9-]*))+\.[a-zA-Z][a-zA-Z0-9]*")
PREFIX = re.compile(r"[a-zA-Z]([a-zA-Z0-9-]*)(\.[a-zA-Z0-9]([a-zA-Z0-9-]*))*\.\*")
DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]+")
KINDS = frozenset({"commit", "identity", "account", "sync"})


class BadRequestError(Exception):
    """Answered with 400; `name` is the XRPC error."""

    def __init__(self, message: str, name: str = "InvalidRequest") -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Filter:
    """One subscription's wishes; what is empty lets everything through."""

    version: int
    collections: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    dids: frozenset[str] = frozenset()
    kinds: frozenset[str] = KINDS
    max_bytes: int = 0

    @staticmethod
    def parse(query: Query, version: int) -> "Filter":
        """Read a query string.

        Raises:
            BadRequestError: The server would answer 400.
        """
        if version == 2:
            for name in ("wantedDids", "wantedCollections", "requireHello", "compress"):
                if name in query:
                    raise BadRequestError(f"{name} is the legacy /subscribe parameter")
        one, two = ("collections", "dids") if version == 2 else ("wantedCollections", "wantedDids")
        kinds = query.get("kinds", ()) if version == 2 else ()
        return Filter.of(
            version,
            query.get(one, ()),
            query.get(two, ()),
            kinds,
            int((*query.get("maxMessageSizeBytes", ()), "0")[0]),
        )

    @staticmethod
    def of(
        version: int,
        collections: Sequence[str],
        dids: Sequence[str],
        kinds: Sequence[str] = (),
        max_bytes: int = 0,
    ) -> "Filter":
        """Check and build."""
        if len(collections) > 100 or len(dids) > 10_000:
            raise BadRequestError("too many collections or dids")
        for collection in collections:
            if not (NSID.fullmatch(collection) or PREFIX.fullmatch(collection)):
                raise BadRequestError(f"invalid collection: {collection}")
        for did in dids:
            if not DID.fullmatch(did):
                raise BadRequestError(f"invalid did: {did}")
        for kind in kinds:
            if kind not in KINDS:
                raise BadRequestError(f"unknown kind {kind!r}")
        if collections and kinds and "commit" not in kinds:
            raise BadRequestError("collections filter can never apply: kinds excludes commit")
        return Filter(
            version,
            frozenset(c for c in collections if not c.endswith(".*")),
            tuple(c.removesuffix("*") for c in collections if c.endswith(".*")),
            frozenset(dids),
            frozenset(kinds) or KINDS,
            max_bytes,
        )

    def frame(self, entry: Witnessed) -> bytes | None:
        """The frame to send for an entry, or None where it is not wanted."""
        what = entry.happening
        if what.kind not in self.kinds or (self.dids and what.did not in self.dids):
            return None
        filtered = what.kind == "commit" and (self.collections or self.prefixes)
        if filtered and not (
            what.collection in self.collections or what.collection.startswith(self.prefixes or "\0")
        ):
            return None
        frame = entry.v2 if self.version == 2 else entry.v1
        return None if frame and 0 < self.max_bytes < len(frame) else frame
