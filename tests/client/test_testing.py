"""What users' own tests get: a server, fixtures, an embedded client."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import visor
import visor.testing
from visor import errors

ROOT = Path(__file__).resolve().parents[2]


def test_a_server_starts_and_answers_without_waiting_for_anything() -> None:
    """It takes 0.03 s. What would wait, for an election for example, waits seconds each time."""
    took = []
    for _ in range(8):
        began = time.perf_counter()
        with visor.testing.server() as server, server.dial() as client:
            assert client.set("/a", b"1") == 1
            took.append(time.perf_counter() - began)
    assert min(took) < 2


def test_every_server_is_fresh_and_has_a_port_of_its_own() -> None:
    with visor.testing.server() as one, visor.testing.server() as two:
        assert one.address != two.address
        with one.dial() as first, two.dial() as second:
            first.set("/a", b"")
            assert second.rev() == 0
            assert first.cluster != second.cluster
    with pytest.raises(errors.DeadlineExceeded):
        visor.dial(one.address, timeout=0.1)


def test_data_in_a_folder_survives_a_restart(tmp_path: Path) -> None:
    with visor.testing.server(tmp_path / "data") as server, server.dial() as client:
        client.set("/a", b"1")
        server.restart()
        assert client.get("/a").value == b"1"
    with visor.testing.server() as server, pytest.raises(ValueError, match="data_dir"):
        server.restart()


def test_the_fixtures_work_in_a_project_of_a_user(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_one(visor_client, visor_server):\n"
        "    visor_client.set('/a', b'1')\n"
        "    with visor_server.dial('/x') as other:\n"
        "        assert not other.exists('/a')\n"
        "def test_two(visor_client):\n"
        "    assert visor_client.rev() == 0\n"
    )
    # An installed package brings the plug-in by its entry point; naming it again would be an error.
    installed = any(entry.name == "visor" for entry in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "_visor_pytest"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_plugin_loads_nothing_until_a_test_asks() -> None:
    """pytest imports it everywhere: in every process of everybody who has the package installed."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    code = "import pytest, sys; before = set(sys.modules); import {}; print(*set(sys.modules) - before)"
    for module in named.values():
        done = subprocess.run(
            [sys.executable, "-c", code.format(module)], check=True, cwd=ROOT, capture_output=True, text=True
        )
        assert done.stdout.split() == [module]


CHECK_IMPORTS = """
import sys
import visor, visor.aio, _visor_pytest
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"visord", "pysyncobj", "sortedcontainers", "uvloop", "click", "rich"}, loaded
sys.modules["visord"] = None
import visor.testing
for start in (visor.embedded, visor.testing.server):
    try:
        start().__enter__()
    except ModuleNotFoundError as error:
        assert "pip install 'visor-registry[server]'" in str(error), error
    else:
        raise AssertionError
"""


def test_the_client_needs_no_server_and_says_what_to_install_for_one() -> None:
    subprocess.run([sys.executable, "-c", CHECK_IMPORTS], check=True, cwd=ROOT)


def test_the_library_never_prints_and_never_configures_logging() -> None:
    code = "import {}; from visor._core.log import log; log.error('trouble'); {}"
    for first, then in (
        ("logging, visor", "assert [type(h).__name__ for h in log.handlers] == ['NullHandler']"),
        ("logging, visor", "assert not logging.getLogger().handlers"),
        # Where nobody has loaded it, the library does not either: it has nobody to talk to.
        ("sys, visor.blocking.client", "assert 'logging' not in sys.modules"),
        ("visor", "import logging; log.error('more'); assert log.name == 'visor'"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code.format(first, then)],
            check=True,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert (done.stdout, done.stderr) == ("", "")


def test_who_listens_hears_the_library(caplog: pytest.LogCaptureFixture) -> None:
    from visor._core.log import log

    with caplog.at_level(logging.INFO, "visor"):
        log.info("connected to %s", "h:1")
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("visor", "connected to h:1")
    assert record.filename == Path(__file__).name  # where it was said, not what passed it on
