"""The front doors: parse, call one function, print."""

import sys

from earshot.cli.app import app, report


def main() -> None:
    """Run the command line; an expected error is one line and a hint, never a stack.

    Exit codes: 0 done, 2 wrong use, 130 and 143 stopped by Ctrl-C and SIGTERM, 1 anything else.
    """
    sys.exit(report(app))


if __name__ == "__main__":
    main()
