"""What one call loads: that is most of what it costs. Counted in modules, which no busy machine changes.

On two quiet cores a `visor get` takes less than 0.12 s of processor time, a completion less than 0.15 s, most of it
for loading modules: what is not needed is not loaded. Raise a number here only when what it buys is worth the time.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cli_harness import ROOT, Visor

NEVER = {
    "asyncio",
    "rich",
    "concurrent",
    "multiprocessing",
    "pydantic",
    "visord",
    "http",
    "email",
    "ssl",
    "unittest",
}
SELDOM = {
    *(
        "subprocess",
        "tempfile",
        "tomllib",
        "pathlib",
        "shutil",
        "urllib",
        "hashlib",
        "secrets",
        "ipaddress",
        "queue",
    ),
    *("difflib", "ctypes", "getpass", "heapq"),
}
"""What other commands need, and the ones measured here do not."""
HEAVY = {"visor.registry", "visor.following", "visor.aio", "visor.members", "visor.blocking.recipes.lock"}

SHOW = """
import sys
from visor.cli import main
code = main({words!r})
sys.stdout.flush()
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


def loaded(visor: Visor, *words: str, code: int = 0, **environment: str) -> set[str]:
    """Return the modules that a run has loaded, beyond those that the interpreter has anyway."""
    env = {**os.environ, **visor.environment, **environment, "PYTHONPATH": str(ROOT)}
    runs = []
    for text in (SHOW.format(words=list(words)), "import sys; print(*sorted(sys.modules), file=sys.stderr)"):
        done = subprocess.run(
            [sys.executable, "-c", text], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        runs.append(set(done.stderr.splitlines()[-1].split()))
    assert done.returncode == 0
    return runs[0] - runs[1]


COMPLETION = {"_VISOR_COMPLETE": "bash", "_VISOR_LINE": "visor get /"}
CALLS = [
    (("get", "/a"), {}, 158),
    (("set", "/a", "1"), {}, 160),
    (("ls",), {}, 158),
    (("history",), {}, 160),
    (("--help",), {}, 92),
    (("get", "--help"), {}, 125),
    ((), COMPLETION, 162),
    ((), {**COMPLETION, "_VISOR_LINE": "visor "}, 92),
]


@pytest.mark.parametrize(("words", "environment", "most"), CALLS, ids=lambda each: str(each)[:40])
def test_a_call_loads_only_what_it_needs(
    visor: Visor, words: tuple[str, ...], environment: dict[str, str], most: int
) -> None:
    visor.ok("set", "/a", "1")
    found = loaded(visor, *words, **environment)
    tops = {name.partition(".")[0] for name in found}
    assert not tops & NEVER
    assert not tops & SELDOM
    assert not found & HEAVY
    assert len(found) <= most, sorted(found)


def test_what_is_seldom_needed_waits_for_its_turn(visor: Visor) -> None:
    """The same without an address in the environment, as most people have it, and no configuration."""
    address = visor.environment.pop("VISOR_ADDR")
    found = loaded(visor, "get", "/none", "--addr", address)
    assert not {name.partition(".")[0] for name in found} & (NEVER | {"tempfile", "tomllib", "subprocess"})
