"""Completion: what the shells are offered, paths of the live tree included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_harness import ROOT, Visor
from tests.patience import PATIENCE, eventually


def offered(visor: Visor, line: str, shell: str = "fish", **environment: str) -> list[tuple[str, str]]:
    """Return what completion offers for a line up to the cursor, as (kind, value)."""
    answer = visor.ok(_VISOR_COMPLETE=shell, _VISOR_LINE=line, **environment)
    return [(row.split("\t")[0], row.split("\t")[1]) for row in answer.lines]


def test_commands_and_options(bare: Visor) -> None:
    assert offered(bare, "visor wa") == [("word", "watch"), ("word", "wait")]
    assert ("word", "--guard-rev") in offered(bare, "visor set --gu")
    assert offered(bare, "visor --output js") == [("word", "json"), ("word", "jsonl")]
    assert offered(bare, "visor completion z") == [("word", "zsh")]
    assert offered(bare, "visor context u") == [("word", "use")]
    assert offered(bare, "visor set /a --file ")[0][0] == "file"


def test_paths_from_the_live_tree(visor: Visor) -> None:
    for path in ("/service/web", "/service/db", "/single"):
        visor.ok("set", path, "1")
    assert offered(visor, "visor get ") == [("part", "/service/"), ("word", "/single")]
    assert offered(visor, "visor get /s") == [("part", "/service/"), ("word", "/single")]
    assert offered(visor, "visor get /service/") == [("word", "/service/db"), ("word", "/service/web")]
    assert offered(visor, "visor get /service/w") == [("word", "/service/web")]
    assert offered(visor, "visor ls /s") == [("part", "/service/")]
    assert offered(visor, "visor watch --prefix /si") == [("word", "/single")]
    assert offered(visor, "visor scan '/service/*") == []
    assert offered(visor, "visor get service") == []
    assert offered(visor, "visor get /none/x") == []


def test_options_on_the_line_count(visor: Visor, bare: Visor) -> None:
    visor.ok("set", "/in/side", "1")
    address, root = visor.environment.pop("VISOR_ADDR"), visor.environment.pop("VISOR_ROOT")
    line = f"visor --addr {address} get --root {root}/in /"
    assert offered(visor, line) == [("word", "/side")]


def test_contexts_are_offered(bare: Visor) -> None:
    bare.ok("context", "add", "production", "--addr", "h:1")
    assert offered(bare, "visor --context p") == [("word", "production")]
    assert offered(bare, "visor context use ") == [("word", "production")]


@pytest.mark.parametrize(
    "line", ["", "visor", "visor get 'open", "visor get \\", "visor \0", "visor get / -- x"]
)
def test_any_line_gives_candidates_or_nothing(bare: Visor, line: str) -> None:
    bare.ok(_VISOR_COMPLETE="bash", _VISOR_LINE=line, VISOR_ADDR="127.0.0.1:1")


def test_without_a_registry_nothing_is_said(bare: Visor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visor.cli.complete.PATIENCE", 0.05)
    assert offered(bare, "visor get /", VISOR_ADDR="127.0.0.1:1") == []
    assert bare("x", _VISOR_COMPLETE="tcsh", _VISOR_LINE="visor ").code == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(bare: Visor, shell: str) -> None:
    text = bare.ok("completion", shell).text
    assert f"_VISOR_COMPLETE={shell}" in text
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=text, text=True, check=True, timeout=PATIENCE)


BASH = """
source completion.bash
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
COMP_LINE="$LINE"
COMP_POINT=${#COMP_LINE}
compopt() { :; }
_visor_complete visor
printf '%s|\\n' "${COMPREPLY[@]}"
"""


def bash(visor: Visor, folder: Path, line: str) -> list[str]:
    """Let a real bash complete `line`; return its candidates with a bar at the end of each."""
    (folder / "completion.bash").write_text(visor.ok("completion", "bash").text)
    program = folder / "visor"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m visor "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, **visor.environment, "PATH": f"{folder}:{os.environ['PATH']}", "LINE": line}
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def completes(visor: Visor, folder: Path, line: str, candidates: list[str]) -> None:
    """Let it be completed until it is: the registry has a second to answer, which the machine may take away."""
    eventually(lambda: bash(visor, folder, line) == candidates, line)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_paths(visor: Visor, tmp_path: Path) -> None:
    visor.ok("set", "/dir/file", "1")
    visor.ok("set", "/a:b/c$d", "1")
    completes(visor, tmp_path, "visor get /di", ["/dir/|"])
    completes(visor, tmp_path, "visor get /dir/", ["/dir/file |"])
    # bash breaks words at a colon and replaces only what follows it; outside quotes `$` is escaped.
    completes(visor, tmp_path, "visor get /a:b/", ["b/c\\$d |"])
    address = visor.environment["VISOR_ADDR"]
    completes(visor, tmp_path, f"visor --addr {address} get /di", ["/dir/|"])
