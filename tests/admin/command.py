"""The command `visor`, run in this process."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

from pytest import MonkeyPatch

from visor.cli import run as run_module


@dataclass(slots=True)
class Answer:
    """What a run left."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def visor(address: str, *arguments: str) -> Answer:
    """Run `visor ARGUMENTS` against an address."""
    out, err = io.BytesIO(), io.BytesIO()
    streams = {"stdin": io.TextIOWrapper(io.BytesIO()), "stdout": io.TextIOWrapper(out)}
    streams["stderr"] = io.TextIOWrapper(err)
    with MonkeyPatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        code = run_module.run(list(arguments), {"VISOR_ADDR": address, "VISOR_DISCOVER": "0"})
        for stream in streams.values():
            stream.flush()
    return Answer(code, out.getvalue().decode(), err.getvalue().decode())
