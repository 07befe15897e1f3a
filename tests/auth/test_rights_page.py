"""The page about rights as its reader follows it: each command, on a node with a Unix socket; and what they print."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node_process import ROOT, NodeProcess
from tests.patience import PATIENCE

PAGE = (ROOT / "visor" / "docs" / "rights.md").read_text()


class Shell:
    """A shell in a directory of its own; `token` is the name of a file there."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        script = programs / "visor"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m visor "$@"\n')
        script.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VISOR")}
        self.environment = {
            **kept,
            "PATH": f"{programs}:{kept['PATH']}",
            "PYTHONPATH": str(ROOT),
            "VISOR_ADDR": address,
            "VISOR_TIMEOUT": str(PATIENCE),
            "HOME": str(folder),
        }

    def run(self, lines: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = self.environment if token is None else {**self.environment, "VISOR_TOKEN_FILE": token}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def ok(self, lines: str, token: str | None = None) -> str:
        done = self.run(lines, token)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    path = tmp_path / "v.sock"
    with NodeProcess(tmp_path / "data", settings=(f"listen.unix={path}",)):
        yield Shell(tmp_path, f"unix:{path}")


def test_a_registry_is_closed_as_the_page_says(shell: Shell) -> None:
    (block,) = re.findall(r"^```\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    shell.ok("visor set /apps/web 1; visor set /secret 1")
    shell.ok(block)
    for name in ("ada.token", "ci.token"):
        assert (shell.folder / name).stat().st_mode & 0o777 == 0o600
    denied = shell.run("visor get /apps/web")
    assert denied.returncode == 5
    assert "this needs a token" in denied.stderr
    assert shell.ok("visor get /apps/web", "ci.token") == "1"
    assert shell.run("visor set /secret 2", "ci.token").returncode == 5
    assert shell.ok("visor auth can ci write /apps/web", "ada.token") == "yes\n"
    assert shell.run("visor auth can ci write /secret", "ada.token").returncode == 1
    me = json.loads(shell.ok("visor whoami --json", "ci.token"))
    assert (me["user"], me["roles"], me["grants"]) == ("ci", ["deployer"], ["read,write,history:/apps/**"])
    shell.ok("visor set /apps/web 2 --actor deploy", "ci.token")
    assert "ci/deploy" in shell.ok("visor history /apps/web", "ci.token")
    users = json.loads(shell.ok("visor user ls --json", "ada.token"))["users"]
    assert {user["name"]: user["roles"] for user in users} == {
        "ada": ["root"],
        "anonymous": [],
        "ci": ["deployer"],
    }
    listed = json.loads(shell.ok("visor token ls --json", "ada.token"))["tokens"]
    number = next(token["id"] for token in listed if token["user"] == "ci")
    shell.ok(f"visor token revoke {number}", "ada.token")
    revoked = shell.run("visor get /apps/web", "ci.token")
    assert revoked.returncode == 5
    assert "taken back" in revoked.stderr
    shell.ok("visor user set anonymous root", "ada.token")
    assert shell.ok("visor get /secret") == "1"


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("visor role set r fly:/a", 2, "'fly:/a' is no grant; write it like read,write:/apps/**"),
        ("visor role set r read", 2, "'read' is no grant"),
        ("visor role set r read:a", 2, "'read:a' is no grant"),
        ("visor user set ci deployer", 2, "role"),
        ("visor role set root read:/a", 2, "root"),
        ("visor user set anonymous", 2, "admin"),
        ("visor user rm ci", 2, "--yes"),
        ("visor token add nobody", 2, "user"),
        ("visor token revoke nothing", 2, "token"),
        ("visor auth can anonymous write a", 2, "must begin with a slash"),
        ("VISOR_TOKEN=vis_nonsense visor get /a", 5, "is unknown, has expired or was taken back"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, command: str, code: int, told: str) -> None:
    done = shell.run(command)
    assert told in done.stderr, done
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done
