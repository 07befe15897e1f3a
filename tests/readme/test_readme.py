"""README as a reader meets it: each command and each snippet, in order, on one server, and all of it twice.

What a reader does by hand is done for him: `. .venv/bin/activate` is a PATH, a line that says "Ctrl-C ends it" is
interrupted after a while, and addresses and data directories are this test's own.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pytest

import visor
from tests.node_process import ROOT, NodeProcess
from visor.registry import roles

pytestmark = pytest.mark.soak

NOT_RUN = {
    "Run it": "sets up the environment that these tests run in; `.ci/run` runs both commands",
    "Three machines": "needs root on three machines",
    "Run it in production": "needs what the section before it installed; tests/admin does the same with own paths",
}
"""Sections with blocks that are left out, and why."""
CLUSTER = "A cluster on one machine"
DATA = "/tmp/visor-"
PATIENCE = 120.0
"""Seconds after which something hangs, however slow the machine is."""


class Block(NamedTuple):
    section: str
    language: str
    text: str


def blocks() -> list[Block]:
    """Return the blocks of README in their order; shell that is interrupted by nothing but prose is one session."""
    found: list[Block] = []
    for part in (ROOT / "README.md").read_text().split("\n## ")[1:]:
        section = part.partition("\n")[0]
        for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", part, re.DOTALL | re.MULTILINE):
            if found and found[-1][:2] == (section, language) == (section, "sh"):
                text = found.pop().text + text
            found.append(Block(section, language, text))
    return found


def test_every_section_is_run_or_said_to_be_left_out() -> None:
    sections = {block.section for block in blocks()}
    assert not set(NOT_RUN) - sections, "a section that is not there any more"
    assert len(sections - set(NOT_RUN)) >= 5
    assert {block.language for block in blocks() if block.section not in NOT_RUN} == {"sh", "python"}


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment as an activated one: `visor`, `visord` and `python` are those that these tests run with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in (("visor", " -m visor"), ("visord", " -m visord"), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable}{module} "$@"\n')
        script.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VISOR_", "VISORD_"))}
    return {
        **kept,
        "PATH": f"{folder}:{kept['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH")))),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


def as_typed(text: str) -> str:
    """Return a script of what a reader types: it stops at the first line that fails."""
    lines = ["set -meuo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for line in text.splitlines():
        if line.startswith(". .venv/bin/activate"):
            continue
        if "Ctrl-C ends it" in line:
            command = line.partition("#")[0].strip()
            line = f"timeout -s INT 3 {command} || [ $? -eq 124 ]"
        lines.append(line)
    return "\n".join(lines)


def run_shell(text: str, environment: dict[str, str]) -> str:
    """Run lines of a shell as one reader types them; return what they print."""
    ran = subprocess.run(
        ["bash", "-c", as_typed(text)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{text}\n-- printed --\n{ran.stdout}\n{ran.stderr}"
    assert "Traceback" not in ran.stderr
    return ran.stdout


def run_python(text: str, folder: Path, environment: dict[str, str]) -> None:
    """Run a snippet as a program of its own."""
    program = folder / "snippet.py"
    program.write_text(text)
    ran = subprocess.run(
        [sys.executable, str(program)],
        env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{text}\n-- printed --\n{ran.stdout}\n{ran.stderr}"


def test_readme_runs_from_top_to_bottom_twice_on_one_server(tmp_path: Path, programs: dict[str, str]) -> None:
    server = NodeProcess(None, arguments=["dev", "--listen", "127.0.0.1:0"]).start()
    try:
        environment = {**programs, "VISOR_ADDR": server.address}
        for section, language, text in [
            one for one in blocks() if one.section not in (*NOT_RUN, CLUSTER)
        ] * 2:
            if language == "python":
                run_python(text.replace("localhost:8046", server.address), tmp_path, environment)
                continue
            printed = run_shell(text, environment).splitlines()
            if section == "Use it from the shell":
                assert "v2" in printed and "v1" in printed
        with visor.dial(server.address) as client:
            assert visor.registry.Registry(client).verify() == []
    finally:
        server.stop()


FLEET = "Run a fleet"
PROGRAMS = {"manager": ("host", "10.0.0.1"), "scheduler": ("scheduler", None)}
"""What runs in the background of the tour, and the ready role that it has; who types has that of an operator."""


def with_tokens(text: str, files: dict[str, Path]) -> str:
    """Return what a reader types on a closed registry: each program has a token of its own."""
    return re.sub(
        r"^python -m visor\.registry\.procman (\w+)",
        lambda found: f"VISOR_TOKEN_FILE={files[found[1]]} {found[0]}",
        text,
        flags=re.MULTILINE,
    )


def test_the_fleet_runs_on_a_closed_registry_with_the_ready_roles(
    tmp_path: Path, programs: dict[str, str]
) -> None:
    server = NodeProcess(None, arguments=["dev", "--listen", "127.0.0.1:0"]).start()
    try:
        with visor.dial(server.address) as boss:
            boss.auth.set_user("boss", ["root"])
            files = {}
            for user, (kind, of) in {**PROGRAMS, "typist": ("operator", None)}.items():
                boss.auth.set_role(user, roles.ready(kind, of))
                boss.auth.set_user(user, [user])
                files[user] = tmp_path / f"{user}.token"
                files[user].touch(0o600)
                files[user].write_text(boss.auth.add_token(user))
            boss.auth.set_user("anonymous", [])
        environment = {
            **programs,
            "VISOR_ADDR": server.address,
            "VISOR_TOKEN_FILE": str(files["typist"]),
        }
        for _, language, text in [one for one in blocks() if one.section == FLEET]:
            if language == "python":
                run_python(text.replace("localhost:8046", server.address), tmp_path, environment)
                continue
            typed = with_tokens(text, files)
            assert all(str(files[name]) in typed for name in PROGRAMS)
            printed = run_shell(typed, environment)
            assert "\trunning\tweb\t" in printed
    finally:
        server.stop()


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start(command: str, environment: dict[str, str], stack: contextlib.ExitStack) -> IO[str]:
    """Start a member with its command line; return what it prints."""
    member = stack.enter_context(
        subprocess.Popen(
            ["bash", "-c", f"exec {command}"], env=environment, stdout=subprocess.PIPE, text=True
        )
    )
    stack.callback(member.terminate)
    assert member.stdout is not None
    return member.stdout


@contextlib.contextmanager
def cluster(commands: list[str], environment: dict[str, str], *, founded: bool) -> Iterator[list[str]]:
    """Run the members that these command lines start; yield their ready lines.

    Who joins needs a member that is ready. Members of a cluster that was founded before need each other: one alone
    is no majority and does not get ready.
    """
    with contextlib.ExitStack() as stack:
        if founded:
            outputs = [start(command, environment, stack) for command in commands]
            yield [output.readline() for output in outputs]
        else:
            yield [start(command, environment, stack).readline() for command in commands]


def test_the_cluster_of_the_readme_runs_twice(tmp_path: Path, programs: dict[str, str]) -> None:
    (starts, looks) = (block.text for block in sessions_of_the_cluster())
    ports = dict(
        zip(sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", starts))), map(str, free_ports(6)), strict=True)
    )

    def own(text: str) -> str:
        text = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports[found[1]]}", text)
        return text.replace(DATA, f"{tmp_path}/")

    for founded in (False, True):
        with cluster(own(starts).splitlines(), programs, founded=founded) as lines:
            assert all(line.startswith("visord ready on 127.0.0.1:") for line in lines)
            environment = {**programs, "VISOR_ADDR": lines[0].split()[-1]}
            waited = time.monotonic()
            while "healthy" not in subprocess.run(
                ["bash", "-c", "visor cluster health"], env=environment, capture_output=True, text=True, check=False
            ).stdout:  # fmt: skip
                assert time.monotonic() - waited < PATIENCE, "it does not get healthy"
            run_shell(own(looks), programs)


def sessions_of_the_cluster() -> list[Block]:
    """Return the two blocks: what is typed in three terminals, and in a fourth."""
    text = "".join(block.text for block in blocks() if block.section == CLUSTER)
    starts, export, looks = text.partition("export ")
    return [Block(CLUSTER, "sh", starts), Block(CLUSTER, "sh", export + looks)]
