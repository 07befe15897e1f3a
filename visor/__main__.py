"""`python -m visor` is the `visor` command."""

from visor.cli import process

if __name__ == "__main__":
    process()
