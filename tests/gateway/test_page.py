"""`visor/docs/http.md` is true: every command in it is typed, in order, and answers what stands behind it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.gateway.running import Caller, gateway
from tests.patience import PATIENCE
from visor.gateway.routes import ROUTES
from visor.testing import server

PAGE = (Path(__file__).parents[2] / "visor" / "docs" / "http.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
EXPECTED = re.compile(r"^(.*\S) +# (\S.*)$", re.DOTALL)
STREAM = " -m 1 "
"""How a stream is ended; it is for people, who do not wait for more."""


def commands() -> list[tuple[str, str]]:
    """Return each command, which may have several lines, and what it has to print ("": nothing is said)."""
    found: list[tuple[str, str]] = []
    for block in BLOCKS[1:]:
        lines, open_quote = [], False
        for line in block.splitlines():
            lines.append(line)
            open_quote ^= line.count("'") % 2 == 1
            if not open_quote:
                match = EXPECTED.match("\n".join(lines))
                found.append((match[1], match[2]) if match else ("\n".join(lines), ""))
                lines = []
    return found


@pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None, reason="the commands need curl"
)
def test_every_command_of_the_page_does_what_stands_there() -> None:
    typed = commands()
    assert sum(bool(expected) for _, expected in typed) >= 25
    script = []
    for number, (command, _) in enumerate(typed):
        script += [f"echo '=== {number} ==='", command, "echo"]
    with server() as registry, gateway(registry.address) as running:
        text = "\n".join(script).replace("http://127.0.0.1:8048", running.url)
        done = subprocess.run(
            ["bash", "-c", text], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    parts = re.split(r"=== \d+ ===\n", done.stdout)[1:]
    for (command, expected), printed in zip(typed, parts, strict=True):
        assert expected in printed, (command, printed, done.stderr)


def test_the_page_names_routes_that_there_are() -> None:
    templates = [re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(route.template))) for route in ROUTES]
    named = {each.rstrip("/") for each in re.findall(r"`(?:GET |POST )?(/v1/[\w/{}]+)", PAGE)}
    assert len(named) > 8
    assert [each for each in named if not any(template.fullmatch(each) for template in templates)] == []


def test_the_bounds_of_the_page_are_those_of_the_gateway() -> None:
    from visor.gateway import application, receipt, upstream

    assert receipt.RECEIPT_SECONDS == 10
    assert receipt.MOST_HEAD == 16 << 10
    assert application.MOST_BODY == 4 << 20
    assert (upstream.MOST_REQUESTS, application.MOST_STREAMS_EACH) == (128, 1024)
    assert "ten seconds to arrive, 16 KiB of head and 4 MiB of body" in PAGE
    assert "128 requests and 1024 streams" in PAGE


def test_the_page_begins_with_what_the_command_prints() -> None:
    with server() as registry, gateway(registry.address) as running, Caller(running.url) as http:
        assert running.url.startswith("http://127.0.0.1:")
        assert http.get("/healthz").text == "ok\n"
        assert http.get("/docs").status_code == 200
