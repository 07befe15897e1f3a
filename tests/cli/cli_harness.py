"""A node in a process of its own, and the command run in this process or in one of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.patience import GROWING, PATIENCE
from visor.cli import run as run_module

ROOT = Path(__file__).resolve().parents[2]
UNAVAILABLE = 6


@dataclass(slots=True)
class Node:
    """A node in a process of its own."""

    address: str
    process: subprocess.Popen[str]


def start_node() -> Node:
    """Start a node on a free port and return when it accepts clients."""
    process = subprocess.Popen(
        [sys.executable, "-m", "visord", "dev", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("visord ready on "), line
    return Node(line.removeprefix("visord ready on ").strip(), process)


def stop_node(node: Node) -> None:
    """End it; a stopped one is woken first."""
    node.process.send_signal(signal.SIGCONT)
    node.process.terminate()
    try:
        node.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        node.process.kill()
        node.process.wait()
    assert node.process.stdout is not None
    node.process.stdout.close()


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@dataclass(slots=True)
class Answer:
    """What a run of the command left."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class Visor:
    """Runs `visor` in this process: `visor("get", "/a")`."""

    def __init__(self, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.environment = environment
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: Any, stdin: bytes = b"", terminal: str = "", **environment: str) -> Answer:
        """Run it. `terminal` holds which of "ioe" (in, out, error) are one; keywords are environment variables."""
        out, err = io.BytesIO(), io.BytesIO()
        streams = {
            "stdin": (_Terminal if "i" in terminal else io.TextIOWrapper)(io.BytesIO(stdin), "utf-8"),
            "stdout": (_Terminal if "o" in terminal else io.TextIOWrapper)(out, "utf-8"),
            "stderr": (_Terminal if "e" in terminal else io.TextIOWrapper)(
                err, "utf-8", errors="backslashreplace"
            ),
        }
        with self._monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            code = run_module.run([str(each) for each in arguments], {**self.environment, **environment})
            streams["stdout"].flush()
            streams["stderr"].flush()
        return Answer(code, out.getvalue(), err.getvalue().decode())

    def ok(self, *arguments: Any, **rest: Any) -> Answer:
        """Run it and check that it was done and complained of nothing."""
        answer = self(*arguments, **rest)
        assert (answer.code, answer.err) == (0, ""), answer
        return answer

    def late(self, *arguments: Any, **rest: Any) -> tuple[float, Answer]:
        """Run it with a short time, then more, until that was enough to find a node in; return it, and the answer."""
        for seconds in GROWING:
            answer = self(*arguments, "--timeout", f"{seconds}s", **rest)
            if answer.code != UNAVAILABLE:
                break
        return seconds, answer

    def rev(self, *arguments: Any, **rest: Any) -> int:
        """Run what prints a rev."""
        return int(self.ok(*arguments, **rest).text)

    def json(self, *arguments: Any, **rest: Any) -> Any:
        """Run it with --json and return the document."""
        return json.loads(self.ok("--json", *arguments, **rest).out)

    def start(self, *arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        """Start it as a process of its own."""
        options = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "stdin": subprocess.DEVNULL,
            **options,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "visor", *(str(each) for each in arguments)],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            **options,
        )
