"""The README's tour is true: its commands and its Python run as they are written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from visor.registry import Registry
from visor.testing import Server

ROOT = Path(__file__).resolve().parents[2]
TOUR = (ROOT / "README.md").read_text().split("## Run a fleet")[1].split("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TOUR, re.DOTALL)


def test_the_first_commands_of_the_tour_run(visor_server: Server) -> None:
    environment = {**os.environ, "VISOR_ADDR": visor_server.address}
    for line in blocks("sh")[0].splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["visor"]:
            subprocess.run(
                [sys.executable, "-m", *words], env=environment, cwd=ROOT, check=True, capture_output=True
            )
    with visor_server.dial() as client:
        assert Registry(client).get_scale("web", "v1", "worker").count == 3
        assert Registry(client).verify() == []


def test_the_python_of_the_tour_runs(visor_server: Server, capsys: object) -> None:
    (source,) = blocks("python")
    exec(source.replace("localhost:8046", visor_server.address), {})
    with visor_server.dial() as client:
        registry = Registry(client)
        assert sorted(each.state for each in registry.instances()) == ["exited", "pending"]
        assert registry.verify() == []
