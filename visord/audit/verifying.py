"""The files of audits, as `visord audit verify` is given them, put in order and verified chain by chain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from visord.audit.chain import ChainReport, first_number, lines_of, verify
from visord.audit.line import MOST

_NAME: Final = re.compile(r"(.+?)(-\d{12})?\.log")


def verify_files(files: Iterable[Path]) -> dict[str, ChainReport]:
    """Return what was found, by chain: `DIRECTORY/access` and the like. A directory: all files in it. OSError."""
    chains: dict[str, list[tuple[int, Path]]] = {}
    for file in sorted({each for named in files for each in _each(named)}):
        found = _NAME.fullmatch(file.name)
        chain = str(file.with_name(found[1] if found is not None else file.name))
        with file.open("rb") as stream:
            number = first_number(stream.readline(MOST + 1))
        chains.setdefault(chain, []).append((number, file))
    return {
        chain: verify((str(file), _lines(file)) for _, file in sorted(parts))
        for chain, parts in sorted(chains.items())
    }


def _each(named: Path) -> Iterator[Path]:
    if named.is_dir():
        yield from named.glob("*.log")
    else:
        yield named


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        yield from lines_of(stream)
