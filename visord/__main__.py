"""`python -m visord` is the `visord` command."""

from visord.cli import main

main()
