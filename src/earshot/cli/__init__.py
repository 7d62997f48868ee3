"""The front doors: parse, call one function, print."""

import sys

from earshot.cli import (
    bench,
    doctor,
    export,
    lists,
    replay,
    rules,
    search,
    sources,
    sql,
    up,
)
from earshot.cli.common import app, report

MODULES = (up, replay, rules, search, lists, export, sql, sources, bench, doctor)
"""Imported so that their commands are registered; the order is the order of `--help`."""


def main() -> None:
    """Run the command line; an expected error is one line and a hint, never a stack.

    Exit codes: 0 done, 2 wrong use, 1 anything else.
    """
    sys.exit(report(app))


if __name__ == "__main__":
    main()
