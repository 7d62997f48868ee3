"""The program's own messages: structured, pretty on a terminal, JSON elsewhere, never a secret."""

import logging
import re
import sys
from typing import Any, Literal

import structlog

_SECRET_NAMES = re.compile(r"(pass(word)?|secret|token|authorization|cookie|api_?key)", re.I)
_SECRET_TEXT = re.compile(r"(esh_\w+_)[\w-]+|([?&#](?:code|k|token|key)=)[^&\s]+|(://[^/\s:@]+:)[^@\s/]+@")


def _redact(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Take secrets out by the name of their field and by their look."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = "…"
        elif isinstance(value, str):
            event[name] = _SECRET_TEXT.sub(lambda m: f"{m[1] or m[2] or m[3]}…", value)
    return event


def configure(style: Literal["auto", "pretty", "json"], *, level: int = logging.INFO) -> None:
    """Send messages to standard error, one line each; standard output is for answers."""
    pretty = style == "pretty" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _redact,
    ]
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
