"""What one call loads: that is most of what it costs. Counted in modules, which no busy machine changes.

On two quiet cores a `visor get` takes less than 0.12 s of processor time, a completion less than 0.15 s, most of it
for loading modules: what is not needed is not loaded. Raise a number here only when what it buys is worth the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.cli.cli_harness import ROOT, Node, Visor
from tests.patience import PATIENCE
from visor.cli.app import app

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
MEANT = {"visor.registry", "visor.members", "visor.blocking.recipes.lock"}
"""Of those, what some commands are about."""

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
            [sys.executable, "-c", text],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        runs.append(set(done.stderr.splitlines()[-1].split()))
    assert done.returncode == 0
    return runs[0] - runs[1]


COMPLETION = {"_VISOR_COMPLETE": "bash", "_VISOR_LINE": "visor get /"}
CALLS = [
    (("get", "/a"), {}, 162),
    (("set", "/a", "1"), {}, 164),
    (("ls",), {}, 162),
    (("history",), {}, 164),
    (("--help",), {}, 92),
    (("get", "--help"), {}, 125),
    ((), COMPLETION, 165),
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


# -- every command --------------------------------------------------------------------------------------
HERE, CLIENT, DOMAIN, EVENTS, RUN = 145, 169, 192, 200, 190
"""Modules that a command may load: without a registry, with one, with the domain, its events, a command to run."""

EVERY: dict[str, tuple[str, int]] = {
    "get": ("/a", CLIENT),
    "ls": ("/", CLIENT),
    "find": ("/d", CLIENT),
    "stat": ("/a", CLIENT),
    "scan": ("/d/**", CLIENT),
    "set": ("/a 2", CLIENT),
    "create": ("/new 1", CLIENT),
    "touch": ("/a", CLIENT),
    "del": ("/d/x", CLIENT),
    "txn": ("{file}", CLIENT),
    "watch": ("/d/** --rev 1 --count 1", CLIENT),
    "wait": ("/d/** --rev 1", CLIENT),
    "lock": ("lock -- true", RUN),
    "elect": ("leader me -- true", RUN),
    "lease grant": ("10s", CLIENT),
    "lease keep": ("{lease} --once", CLIENT),
    "lease ls": ("", CLIENT),
    "lease revoke": ("{spare}", CLIENT),
    "lease show": ("{lease}", CLIENT),
    "history": ("--limit 3", CLIENT),
    "blame": ("/d", CLIENT),
    "diff": ("1 2", CLIENT),
    "revert": ("/a --to 1 --yes", CLIENT),
    "redact": ("/a --revs 1..1", CLIENT),
    "retain": ("--revs 1000000 --yes", CLIENT),
    "app head": ("web", DOMAIN),
    "app ls": ("", DOMAIN),
    "app register": ("new --repo git://x --stack y", DOMAIN),
    "app show": ("web", DOMAIN),
    "app unregister": ("old --yes", DOMAIN),
    "rev exists": ("web v1", DOMAIN),
    "rev ls": ("web", DOMAIN),
    "rev register": ("web v3", DOMAIN),
    "rev show": ("web v1", DOMAIN),
    "rev unregister": ("web v2", DOMAIN),
    "proc ls": ("web", DOMAIN),
    "proc register": ("web new", DOMAIN),
    "proc set": ("web worker --command x", DOMAIN),
    "proc show": ("web worker", DOMAIN),
    "proc unregister": ("web spare", DOMAIN),
    "env del": ("web GONE", DOMAIN),
    "env get": ("web", DOMAIN),
    "env ls": ("web", DOMAIN),
    "env register": ("web e3 A=1", DOMAIN),
    "env set": ("web K=1", DOMAIN),
    "env show": ("web e1", DOMAIN),
    "env unregister": ("web e2", DOMAIN),
    "instance claim": ("{pending} --host 10.0.0.1", DOMAIN),
    "instance unclaim": ("{claimed}", DOMAIN),
    "instance started": ("{claimed2} --port 80", DOMAIN),
    "instance stop": ("{running}", DOMAIN),
    "instance exited": ("{running2}", DOMAIN),
    "instance failed": ("{running3}", DOMAIN),
    "instance lost": ("{running4}", DOMAIN),
    "instance lock": ("{pending2}", DOMAIN),
    "instance unlock": ("{pending2}", DOMAIN),
    "instance ls": ("web", DOMAIN),
    "instance register": ("web v1 worker", DOMAIN),
    "instance show": ("{pending2}", DOMAIN),
    "instance tail": ("{exited}", EVENTS),
    "instance wait": ("{exited} exited", DOMAIN),
    "instance unregister": ("{exited}", DOMAIN),
    "instance purge": ("web --yes", DOMAIN),
    "ticket claim": ("{open} --host 10.0.0.1", DOMAIN),
    "ticket create": ("start web v1 worker", DOMAIN),
    "ticket done": ("{taken}", DOMAIN),
    "ticket dead": ("{taken2}", DOMAIN),
    "ticket unclaim": ("{taken3}", DOMAIN),
    "ticket wait": ("{done}", DOMAIN),
    "ticket ls": ("", DOMAIN),
    "ticket show": ("{taken3}", DOMAIN),
    "scale": ("web v1 worker +1", DOMAIN),
    "service add": ("svc 10.0.0.1:81", DOMAIN),
    "service ls": ("", DOMAIN),
    "service register": ("svc3", DOMAIN),
    "service rm": ("svc 10.0.0.1:80", DOMAIN),
    "service show": ("svc", DOMAIN),
    "service unregister": ("svc2", DOMAIN),
    "runner ls": ("", DOMAIN),
    "runner members": ("pm", DOMAIN),
    "runner register": ("10.0.0.1:91 {pending2}", DOMAIN),
    "runner unregister": ("10.0.0.1:90", DOMAIN),
    "event ls": ("--limit 2", EVENTS),
    "event tail": ("--rev 1 --count 1", EVENTS),
    "certificate ls": ("", CLIENT),
    "certificate revoke": (f"{'a' * 64} --for lost", CLIENT),
    "certificate allow": ("a" * 64, CLIENT),
    "login": ("{address} --name c9", 240),
    "whoami": ("", CLIENT),
    "auth can": ("anonymous write /a", CLIENT),
    "user ls": ("", CLIENT),
    "user set": ("ci root", CLIENT),
    "user password": ("other --remove", CLIENT),
    "user rm": ("other --yes", CLIENT),
    "role ls": ("", CLIENT),
    "role set": ("reader read:/**", CLIENT),
    "role ready": ("viewer", CLIENT + 25),
    "role rm": ("idle", CLIENT),
    "token ls": ("", CLIENT),
    "token add": ("ci --ttl 1h", CLIENT),
    "token revoke": ("{token}", CLIENT),
    "join-token ls": ("", CLIENT),
    "join-token add": ("--name n2", CLIENT),
    "join-token revoke": ("abcdefgh", CLIENT),
    "init": ("", DOMAIN),
    "nop": ("", CLIENT),
    "status": ("", CLIENT),
    "ping": ("--count 1", CLIENT),
    "cluster add": ("n2", CLIENT),
    "cluster hash": ("", CLIENT),
    "cluster health": ("", CLIENT),
    "cluster members": ("", CLIENT),
    "cluster promote": ("n2", CLIENT),
    "cluster remove": ("n2 --yes", CLIENT),
    "cluster status": ("", CLIENT),
    "cluster transfer": ("", CLIENT),
    "gateway": ("--help", HERE),
    "top": ("--once --interval 100ms", CLIENT + 15),
    "context add": ("c2 --addr 10.0.0.1:1", HERE),
    "context ls": ("", HERE),
    "context show": ("c1", HERE),
    "context use": ("c1", HERE),
    "context rm": ("c1", HERE),
    "completion": ("bash", HERE),
    "version": ("", HERE),
}
"""Command -> its arguments, and how many modules it may load."""
REFUSED = {
    "cluster add",
    "cluster promote",
    "cluster remove",
    "cluster transfer",
    "join-token add",
    "join-token revoke",
}
"""What a registry of one member cannot do that has no authority of its own."""
TLS = {"login": {"ssl"}}
"""What looks whether TLS is spoken, whatever comes of it."""

EACH = """
import os, sys
before = set(sys.modules)
for name, *words in eval(sys.argv[1]):
    inside, outside = os.pipe()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0), os.dup2(null, 1)
        from visor.cli import main
        code = main(words)
        os.write(outside, " ".join([str(code), *sorted(set(sys.modules) - before)]).encode())
        os._exit(0)
    os.close(outside)
    with open(inside) as answer:
        print(name, answer.read(), sep=":")
    os.wait()
"""


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, f"{before}{name} ")
        else:
            yield before + name


def test_every_command_is_measured() -> None:
    assert sorted(commands(app)) == sorted(EVERY)


@pytest.mark.timeout(600)  # a hundred processes, on whatever machine
def test_no_command_loads_more_than_it_needs(bare: Visor, own_node: Node, tmp_path: Path) -> None:
    visor = bare
    visor.environment["VISOR_ADDR"] = own_node.address
    known = prepare(visor, tmp_path)
    calls = [[name, *name.split(), *words.format(**known).split()] for name, (words, _) in EVERY.items()]
    env = {**os.environ, **visor.environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", EACH, repr(calls)], env=env, capture_output=True, text=True, check=True
    )
    found = {}
    for line in done.stdout.splitlines():
        name, _, rest = line.partition(":")
        code, *modules = rest.split()
        assert code == "0" or name in REFUSED, (name, code, done.stderr)
        found[name] = set(modules)
    assert found.keys() == EVERY.keys()
    for name, modules in found.items():
        assert not modules & (HEAVY - MEANT), name
        assert not {each.partition(".")[0] for each in modules} & (NEVER - TLS.get(name, set())), name
    over = {name: len(modules) for name, modules in found.items() if len(modules) > EVERY[name][1]}
    assert over == {}


def prepare(visor: Visor, tmp_path: Path) -> dict[str, Any]:
    """Put there what the commands look at and change, and return the names that they call it by."""
    file = tmp_path / "transaction"
    file.write_text("set /d/z 1\n")
    for words in SETUP:
        visor.ok(*words.split())
    known: dict[str, Any] = {"address": visor.environment["VISOR_ADDR"], "file": file}
    known["lease"] = visor.rev("lease", "grant", "1000s")
    known["spare"] = visor.rev("lease", "grant", "1000s")
    for name in (
        "pending",
        "pending2",
        "claimed",
        "claimed2",
        "running",
        "running2",
        "running3",
        "running4",
        "exited",
    ):
        known[name] = visor.rev("instance", "register", "web", "v1", "worker")
        if not name.startswith("pending"):
            visor.ok("instance", "claim", known[name], "--host", "10.0.0.1")
        if name.startswith(("running", "exited")):
            visor.ok("instance", "started", known[name], "--port", "80")
    visor.ok("instance", "exited", known["exited"])
    for name in ("open", "taken", "taken2", "taken3", "done"):
        known[name] = visor.rev("ticket", "create", "start", "web", "v1", "worker")
        if name != "open":
            visor.ok("ticket", "claim", known[name], "--host", "10.0.0.1")
    visor.ok("ticket", "done", known["done"])
    visor.ok("runner", "register", "10.0.0.1:90", known["pending2"])
    known["token"] = visor.ok("token", "add", "gone").text.split("_")[1]
    return known


SETUP = """\
user set gone
user set other
role set idle
set /a 1
set /d/x 1
set /d/y 1
app register web
app register old
rev register web v1
rev register web v2
proc register web worker
proc register web spare
env register web e1 A=1
env register web e2 A=1
env set web GONE=1
service register svc
service register svc2
service add svc 10.0.0.1:80
context add c1 --addr 10.0.0.1:1""".splitlines()
