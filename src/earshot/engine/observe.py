"""The program's own messages: structured, pretty on a terminal, JSON elsewhere, never a secret."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal

import structlog

_SECRET_NAMES: Final = re.compile(
    r"pass(word|phrase)?$|secret|token|authorization|cookie|api_?key|credential", re.IGNORECASE
)
_SECRET_TEXT: Final = re.compile(
    r"(?P<token>esh_\w+?_)[\w-]+"
    r"|(?P<query>[?&#](?:code|k|token|key|\w*secret|password|access_token|api_?key|sig)=)[^&\s\"']+"
    r"|(?P<user>://[^/\s:@]+:)[^@\s/]+(?=@)"
    r"|(?P<header>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
HIDDEN: Final = "…"


def without_secrets(text: str) -> str:
    """The text, with what looks like a secret taken out."""
    return _SECRET_TEXT.sub(lambda m: f"{m[str(m.lastgroup)]}{HIDDEN}", text)


def _clean(value: object) -> object:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {k: HIDDEN if _SECRET_NAMES.search(str(k)) else _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(v) for v in value]
    if isinstance(value, BaseException):
        return without_secrets(f"{type(value).__name__}: {value}")
    return value


def _redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out by the name of their field and by their look, at any depth."""
    for name, value in event.items():
        event[name] = HIDDEN if _SECRET_NAMES.search(name) else _clean(value)
    return event


class _Redacting(logging.Formatter):
    """Messages of libraries: one look for all, and no secret either."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        return without_secrets(super().format(record))


class _ToStandardError:
    """Writes lines to what standard error is at that moment."""

    def msg(self, message: str) -> None:
        """Write a line, whole."""
        sys.stderr.write(message + "\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = exception = log = msg


def configure(style: Literal["auto", "pretty", "json"], *, level: int = logging.INFO) -> None:
    """Send messages to standard error, one line each; standard output is for answers."""
    pretty = style == "pretty" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # before secrets are taken out: stacks hold some
        _redact,
    ]
    last = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _ToStandardError(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
