"""`python -m earshot.cli`."""

from earshot.cli import main

main()
