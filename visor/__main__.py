"""`python -m visor` is the `visor` command."""

import sys

from visor.cli import main

if __name__ == "__main__":
    sys.exit(main())
