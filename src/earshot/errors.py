"""Every error Earshot raises on purpose: what happened, where, and what to do about it.

EarshotError
├── UsageError            the caller asked for something that cannot be (exit code 2, HTTP 4xx)
│   ├── ConfigError       the configuration cannot work; nothing was started
│   │   ├── UnknownSchemeError
│   │   └── MissingExtraError
│   ├── RuleSyntaxError   a rule's text; says where and how to mend it
│   ├── NotFoundError     no such rule, file, post …
│   └── ConflictError     somebody else changed or holds it
├── RetryableError        the same call may succeed later: wait and try again
│   ├── DiskError         the disk is full, fails, or may not be written
│   └── LogFullError      the log reached its size limit: back-pressure, with `retry_after`
└── FormatError           bytes that cannot be cut into records
"""

from collections.abc import Iterable
from difflib import get_close_matches


class EarshotError(Exception):
    """Root of all; `hint` is the one next step shown below the message."""

    hint: str = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling, whatever `__init__` takes: errors cross process borders."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class UsageError(EarshotError):
    """What was asked for cannot be done; the message names the argument and the remedy."""


class ConfigError(UsageError):
    """The configuration cannot work; nothing was started."""


class UnknownSchemeError(ConfigError):
    """No implementation of a room answers to a URL's scheme."""

    def __init__(self, room: str, scheme: str, known: Iterable[str]) -> None:
        self.room, self.scheme, self.known = room, scheme, tuple(sorted(known))
        super().__init__(f"{room}: nothing handles '{scheme}:' (known: {', '.join(self.known)})")
        if near := get_close_matches(scheme, self.known, n=1):
            self.hint = f"did you mean '{near[0]}:'?"


class MissingExtraError(ConfigError):
    """The implementation is there; the library it needs is not installed."""

    def __init__(self, room: str, scheme: str, package: str) -> None:
        self.room, self.scheme, self.package = room, scheme, package
        super().__init__(f"{room} '{scheme}:' needs the package '{package}'")
        self.hint = f"pip install 'earshot[{scheme}]'"


class RuleSyntaxError(UsageError):
    """A rule's text cannot be read.

    Attributes:
        at: Offset of the offending place, in characters of the expression.
        length: How many characters the place spans (at least 1).
    """

    def __init__(self, message: str, *, at: int = 0, length: int = 1, hint: str = "") -> None:
        self.at, self.length = at, max(1, length)
        super().__init__(message, hint=hint)


class NotFoundError(UsageError):
    """The thing that was named does not exist."""


class ConflictError(UsageError):
    """The thing was changed, or is held, by somebody else."""


class RetryableError(EarshotError):
    """The same call may succeed later: the caller waits and tries again."""


class DiskError(RetryableError):
    """The disk is full, fails, or may not be written; passes as soon as somebody mends that."""


class LogFullError(RetryableError):
    """The log is at its size limit; nothing was taken. Try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class FormatError(EarshotError):
    """Bytes that hold no records of the format they are said to be in."""
