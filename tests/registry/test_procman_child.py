"""Nothing of an instance outlives it, nor its manager, whatever it does; the registry does not choose what runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from visor.registry.procman import child as child_module
from visor.registry.procman.child import Child, _reason
from visor.registry.procman.environment import LEFT_OUT, environment, why_not

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")

DAEMON = (
    "import os, sys, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep({})"
)
"""What goes on when everybody who started it has ended: in no group and no session of theirs."""


def sleeping(mark: str) -> set[int]:
    """Return the processes that have the mark in their command line, and have not ended."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.add(int(entry.name))
    return found


def until(what: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


@pytest.fixture
def mark() -> str:
    return f"7{random.randrange(10**8):08d}.{os.getpid()}"


def ways(mark: str) -> dict[str, str]:
    """Commands whose first process leaves others behind; each waits for `$GO` to go away before it ends."""
    daemon = f"{sys.executable} -c '{DAEMON.format(mark)}'"
    return {
        "background": f"sleep {mark} &",
        "session": f"setsid sleep {mark} &",
        "daemon": f"{daemon} &",
        "deaf": f'(trap "" TERM INT HUP; sleep {mark}; sleep {mark}) &',
    }


def command(start: str, rest: str) -> str:
    quoted = start.replace("'", "'\\''")
    return f"sh -c '{quoted} {rest}'"


@pytest.mark.parametrize("way", ["background", "session", "daemon", "deaf"])
@pytest.mark.parametrize("end", ["exits", "is killed", "is told to end", "is ended"])
def test_nothing_outlives_the_instance(mark: str, tmp_path: Path, way: str, end: str) -> None:
    go = tmp_path / "go"
    go.touch()

    async def main() -> str | None:
        child = await Child.start(
            command(ways(mark)[way], f"while test -e {go}; do sleep 0.01; done; exit 3"), {}
        )
        assert os.getpgid(child.pid) == os.getsid(child.pid) == child.pid
        await asyncio.to_thread(until, lambda: bool(sleeping(mark) - {child.pid}))
        if end == "exits":
            go.unlink()
        elif end == "is killed":
            os.kill(child.pid, signal.SIGKILL)
        elif end == "is told to end":
            await child.end(0.2)
        else:
            child.kill()
        return await asyncio.wait_for(child.wait(), PATIENCE)

    reason = asyncio.run(main())
    assert sleeping(mark) == set()  # not soon, but already when it is called over
    expected = {"exits": "exit code 3", "is killed": "killed by SIGKILL", "is ended": "killed by SIGKILL"}
    assert reason == expected.get(end, reason) and reason is not None


MANAGER = """
import asyncio, sys
from visor.registry.procman.child import Child
async def main():
    for command in sys.argv[1:]:
        print((await Child.start(command, {})).pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_manager(mark: str, number: signal.Signals) -> None:
    commands = [command(start, f"exec sleep {mark}") for start in ways(mark).values()]
    manager = subprocess.Popen(
        [sys.executable, "-c", MANAGER, *commands],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert manager.stdout is not None
    first = {int(manager.stdout.readline()) for _ in commands}

    def all_run() -> bool:  # asked again: a process that becomes its command has no words for a moment
        found = sleeping(mark) - {manager.pid}
        return first <= found and len(found) >= 2 * len(commands)

    until(all_run)
    manager.send_signal(number)
    manager.wait(PATIENCE)
    manager.stdout.close()
    until(lambda: sleeping(mark) == set())


def test_a_killed_keeper_is_told_and_takes_the_first_process_along(mark: str) -> None:
    async def main() -> str | None:
        child = await Child.start(f"sleep {mark}", {})
        os.kill(parent_of(child.pid), signal.SIGKILL)
        return await asyncio.wait_for(child.wait(), PATIENCE)

    assert asyncio.run(main()) == "its keeper was killed"
    until(lambda: sleeping(mark) == set())


STOPS = {
    "once": "setsid sleep {0} & sleep {0} & while test -e {1}; do sleep 0.01; done; kill -STOP $PPID; wait",
    "again": "setsid sleep {0} & sleep {0} & while :; do kill -STOP $PPID; done",
}
"""What an instance may do to its keeper."""


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize("end", ["end", "kill"])
def test_a_stopped_keeper_keeps_nobody(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, end: str
) -> None:
    go = tmp_path / "go"
    go.touch()
    if how == "once":  # it is not let go on before it is to end
        monkeypatch.setattr(child_module, "LOOK", 600.0)
    monkeypatch.setattr(child_module, "FORCE", 1.0 if how == "again" else 60.0)

    async def main() -> str | None:
        child = await Child.start(f"sh -c '{STOPS[how].format(mark, go)}'", {})
        go.unlink()
        await asyncio.to_thread(until, lambda: len(sleeping(mark) - {child.pid}) >= 2)
        keeper = parent_of(child.pid)
        await asyncio.to_thread(until, lambda: state_of(keeper) == "T" or how == "again")
        if end == "kill":
            child.kill()
        else:
            await asyncio.wait_for(child.end(0.2), PATIENCE)
        return await asyncio.wait_for(child.wait(), PATIENCE)

    assert run(main) in ("killed by SIGTERM", "killed by SIGKILL", "its keeper was killed")
    until(lambda: sleeping(mark) == set())


def test_an_end_is_heard_of_though_the_keeper_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the instance would run for ever, by what the registry says."""
    monkeypatch.setattr(child_module, "LOOK", 0.1)

    async def main() -> str | None:
        child = await Child.start("sh -c 'kill -STOP $PPID; exit 3'", {})
        return await asyncio.wait_for(child.wait(), PATIENCE)

    assert run(main) == "exit code 3"


def test_nothing_outlives_the_manager_though_the_keeper_was_stopped(mark: str) -> None:
    manager = subprocess.Popen(
        [sys.executable, "-c", MANAGER, f"sh -c 'setsid sleep {mark} & sleep {mark}'"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert manager.stdout is not None
    keeper = parent_of(int(manager.stdout.readline()))
    until(lambda: len(sleeping(mark) - {manager.pid}) >= 2)
    manager.send_signal(signal.SIGSTOP)  # it cannot tell the keeper to go on
    os.kill(keeper, signal.SIGSTOP)
    until(lambda: state_of(keeper) == "T")
    manager.kill()
    manager.wait(PATIENCE)
    manager.stdout.close()
    until(lambda: sleeping(mark) == set())


@pytest.mark.parametrize(
    ("keeper", "error"),
    [
        ("while True: os.kill(os.getpid(), signal.SIGSTOP)", TimeoutError),
        ("os.kill(os.getpid(), signal.SIGKILL)", ChildProcessError),
        ("os.write(int(sys.argv[1]), b'nonsense\\n'); time.sleep(600)", TimeoutError),
    ],
)
def test_a_keeper_that_does_not_begin_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeper: str, error: type[OSError]
) -> None:
    script = tmp_path / "keeper.py"
    script.write_text(f"import os, signal, sys, time\n{keeper}\n")
    monkeypatch.setattr(child_module, "KEEPER", str(script))
    if error is TimeoutError:
        monkeypatch.setattr(child_module, "START", 0.5)

    async def main() -> None:
        with pytest.raises(error, match="its keeper"):
            await asyncio.wait_for(Child.start("true", {}), PATIENCE)

    run(main)
    until(lambda: sleeping(str(script)) == set())


def state_of(pid: int) -> str:
    """Return the letter that /proc has for what a process does: T when it was stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def parent_of(pid: int) -> int:
    """Return the process that started another one: other tests of this process may have left children of their own."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def run(body: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(body())


UNSEEN = """
import os, time
from visor.registry.procman import keeper

first = os.fork()
if first == 0:
    time.sleep(0.2)
    os._exit(5)
keeper.below = lambda top: []
status, left = keeper._end_all(first)
print(os.waitstatus_to_exitcode(status), left)
"""


def test_it_is_not_over_before_what_proc_did_not_show_has_ended() -> None:
    """Who forks while `/proc` is read may not be in it: the kernel tells whether anybody is left."""
    done = subprocess.run([sys.executable, "-c", UNSEEN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", "0"]


def test_how_it_ends() -> None:
    async def main() -> list[object]:
        ends: list[object] = []
        for what in (
            "true",
            "sh -c 'exit 3'",
            "sh -c 'kill -15 $$'",
            "/no/such/program",
            "/",
            "",
            "sh -c 'torn",
        ):
            try:
                child = await Child.start(what, {})
                ends.append(await child.wait())
                assert await child.wait() == ends[-1]
                child.kill()
                await child.end(1)
            except (OSError, ValueError) as error:
                ends.append(type(error))
        return ends

    assert run(main) == [
        *(None, "exit code 3", "killed by SIGTERM"),
        *(FileNotFoundError, PermissionError, ValueError, ValueError),
    ]


def test_every_signal_that_ends_it_is_said() -> None:
    """All that the kernel has: of the real-time signals, most have no name."""

    async def main() -> dict[int, str | None]:
        ends = {}
        for number in sorted(signal.valid_signals() - {signal.SIGCHLD}):
            child = await Child.start(f"sh -c 'kill -{int(number)} $$; exit 9'", {})
            if number in STOPPING:
                child.kill()
            ends[int(number)] = await asyncio.wait_for(child.wait(), PATIENCE)
        return ends

    ends = run(main)
    assert ends.pop(signal.SIGRTMIN + 1) == f"killed by signal {signal.SIGRTMIN + 1}"
    assert ends.pop(signal.SIGTERM) == "killed by SIGTERM"
    assert all(
        end == "exit code 9" or (end or "").startswith("killed by SIG") or end == f"killed by signal {number}"
        for number, end in ends.items()
    ), ends


STOPPING = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("exit 0", None),
        ("exit 0 left 2", "exit code 0; 2 of its processes could not be ended"),
        ("signal 64 left 1", "killed by SIGRTMAX; 1 of its processes could not be ended"),
        ("exit", "its keeper said 'exit'"),
        ("exit x", "its keeper said 'exit x'"),
        ("nonsense \N{SNOWMAN} 1 2 3", "its keeper said 'nonsense \N{SNOWMAN} 1 2 3'"),
    ],
)
def test_whatever_a_keeper_says_is_an_end(said: str, reason: str | None) -> None:
    assert _reason(said.split()) == reason


def test_patience_comes_first(tmp_path: Path) -> None:
    """All processes hear SIGTERM, in whichever session they are, and have their time to end well."""
    told = tmp_path / "told"
    script = tmp_path / "script"
    script.write_text(
        f"trap 'echo $1 >> {told}; exit 0' TERM\n"
        f"echo ready >> {told}\n"
        "test $1 = first && setsid sh $0 second &\n"
        "while :; do sleep 0.01; done\n"
    )

    async def main() -> str | None:
        child = await Child.start(f"sh {script} first", {})
        await asyncio.to_thread(until, lambda: told.exists() and told.read_text().count("ready") == 2)
        await child.end(20)
        return await child.wait()

    assert run(main) is None
    assert "first" in told.read_text()


def test_it_gets_nothing_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the manager's secrets, descriptors, standard input or ignored signals."""
    monkeypatch.setenv("VISOR_TOKEN", "secret")
    out = tmp_path / "out"
    lines = f"env > {out}; ls /proc/self/fd | wc -l >> {out}; grep SigIgn /proc/self/status >> {out}; wc -c >> {out}"

    async def main() -> str | None:
        return await (await Child.start(f"sh -c '{lines}'", {"A": "b"})).wait()

    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    assert run(main) is None
    for each in held:
        os.close(each)
    text = out.read_text()
    assert "secret" not in text and "A=b" in text and "PORT=" in text
    assert "SigIgn:\t0000000000000000" in text
    assert text.splitlines()[-3:][0].strip() == "4" and text.splitlines()[-1].strip() == "0"


def test_signals_that_the_manager_blocks_are_its_own(tmp_path: Path) -> None:
    """The keeper hears that a child has ended, and the instance starts with none blocked."""
    out = tmp_path / "out"

    async def main() -> str | None:
        child = await Child.start(f"sh -c 'grep SigBlk /proc/self/status > {out}; exit 3'", {})
        return await asyncio.wait_for(child.wait(), PATIENCE)

    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGINT})
    try:
        assert run(main) == "exit code 3"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert out.read_text().split() == ["SigBlk:", "0000000000000000"]


# -- variables ----------------------------------------------------------------------------------------
def test_what_would_change_the_code_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for pattern, reason in LEFT_OUT:
        name = pattern.replace("*", "X")
        for variant in (name, name.lower()):
            assert why_not(variant) == reason
            assert environment({variant: "/evil"}, 1, {"PATH": "/bin"}) == {"PATH": "/bin", "PORT": "1"}
            assert variant in caplog.text and reason in caplog.text


@pytest.mark.parametrize("name", ["", "A=B", "1A", "A-B", "BASH_FUNC_ls%%", "A\0", "Ä", "A B", "A\n"])
def test_what_is_no_name_is_left_out(name: str) -> None:
    assert set(environment({name: "x"}, 1, {})) == {"PATH", "PORT"}


def test_all_else_is_the_apps_own() -> None:
    own = {
        "DB_URL": "postgres://db",
        "A_B": "",
        "PATHS": "1",
        "LD": "1",
        "ENVIRONMENT": "prod",
        "VISOR_APP": "web",
    }
    assert environment({**own, "PORT": "1"}, 8001, {}) == {**own, "PATH": os.defpath, "PORT": "8001"}


def test_a_process_never_sees_them() -> None:
    async def main() -> str | None:
        return await (await Child.start("sh -c 'test -z \"$LD_PRELOAD\"'", {"LD_PRELOAD": "/evil.so"})).wait()

    assert run(main) is None
