"""`lock`, `elect` and `lease`: as commands, as processes, with signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.cli_harness import UNAVAILABLE, Answer, Visor
from tests.patience import GROWING, PATIENCE

SHOW = 'echo "$VISOR_LOCK$VISOR_ELECTION $VISOR_FENCE $VISOR_LEASE $VISOR_LOCK_FILE"'


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


@contextlib.contextmanager
def held(visor: Visor, *words: Any) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """Hold a lock with a lease of a second, and give the first line: what it loses, it is to notice soon.

    Where the machine stood still for that second before it was held, it is tried again.
    """
    line = b""
    while not line:
        with visor.start("lock", "/l", "--ttl", "1s", *words) as process:
            line = first_line(process)
            if line:
                yield process, line
            else:
                process.communicate(timeout=PATIENCE)
                assert process.returncode == 10


def lock_late(visor: Visor) -> Answer:
    """Wait for the lock, a short time that is enough to find a node in."""
    for seconds in GROWING:
        answer = visor("--timeout", f"{seconds}s", "lock", "/l", "--", "true")
        if answer.code != UNAVAILABLE:
            break
    return answer


def until_there(visor: Visor, path: str, count: int = 1) -> None:
    """Wait until the directory has that many entries; the suite's timeout bounds it."""
    while len(visor("ls", path).lines) < count:
        time.sleep(0.05)


# -- lock ---------------------------------------------------------------------------------------------


def test_a_command_runs_while_the_lock_is_held(visor: Visor) -> None:
    with visor.start("lock", "job", "--", "sh", "-c", f"{SHOW}; exit 7") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (7, b"")
    path, fence, lease, file = out.decode().split()
    assert path == "/locks/job"
    assert int(fence) > 0
    assert int(lease) > 0
    assert file.startswith("/locks/job/w")
    assert visor("ls", "/locks/job").code == 3, "it was released"


def test_a_second_one_waits_or_does_not(visor: Visor) -> None:
    with visor.start(
        "lock", "/l", "--actor", "ann", "--", "sh", "-c", "echo in; read line", stdin=subprocess.PIPE
    ) as one:
        assert first_line(one) == b"in\n"
        refused = visor("--json", "lock", "/l", "--no-wait", "--", "true")
        assert refused.code == 4
        assert "ann" in refused.err
        assert json.loads(refused.err)["error"]["code"] == "locked"
        assert lock_late(visor).code == 124
        with visor.start("lock", "/l", "--", "echo", "got it") as two:
            until_there(visor, "/l", 2)
            one.communicate(b"\n", timeout=PATIENCE)
            out, _ = two.communicate(timeout=PATIENCE)
        assert (two.returncode, out) == (0, b"got it\n")
    assert one.returncode == 0


def test_shared_ones_run_beside_each_other(visor: Visor) -> None:
    with visor.start(
        "lock", "/l", "--shared", "--", "sh", "-c", "echo in; read line", stdin=subprocess.PIPE
    ) as one:
        assert first_line(one) == b"in\n"
        with visor.start("lock", "/l", "--shared", "--no-wait", "--", "echo", "too") as two:
            assert two.communicate(timeout=PATIENCE)[0] == b"too\n"
        assert visor("lock", "/l", "--no-wait", "--", "true").code == 4
        one.communicate(b"\n", timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on_and_the_code_is_the_commands(visor: Visor, number: int) -> None:
    # Not a shell, which has commands of its own that may take the signal.
    script = (
        f"import signal, sys; signal.signal({number}, lambda *_: (print('got it', flush=True), sys.exit(5)));"
        "print('in', flush=True); signal.pause()"
    )
    with visor.start("lock", "/l", "--", sys.executable, "-c", script) as process:
        assert first_line(process) == b"in\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (5, b"got it\n")


def test_a_command_that_a_signal_ended(visor: Visor) -> None:
    with visor.start("lock", "/l", "--", "sh", "-c", "kill -9 $$") as process:
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + 9


def test_a_lost_lock_ends_the_command_and_all_that_it_started(visor: Visor, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    script = f"sh -c 'trap \"echo ended > {note}; exit\" TERM; sleep 1000 & wait' & {SHOW}; wait; exit 0"
    with held(visor, "--", "sh", "-c", script) as (process, line):
        lease = line.split()[2].decode()
        assert visor("lease", "revoke", lease, "--yes").code in (0, 3)  # 3: it has run out already
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 10
    assert b"/l was lost; ending sh" in err
    while not note.exists():
        time.sleep(0.02)


def test_a_registry_that_goes_away_means_lost_in_time(own_visor: Visor, own_node: object) -> None:
    with held(own_visor, "--", "sh", "-c", "echo in; exec sleep 600") as (process, line):
        assert line == b"in\n"
        os.kill(own_node.process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 10


def test_a_lock_without_a_command_is_held_until_a_signal_comes(visor: Visor) -> None:
    with visor.start("--json", "lock", "/l") as process:
        shape = json.loads(first_line(process))
        assert shape["path"] == "/l"
        assert visor("lock", "/l", "--no-wait", "--", "true").code == 4
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    with held(visor) as (process, line):
        assert int(line) > shape["fence"]
        for file in visor("ls", "/l").lines:  # none where it has run out already
            assert visor("del", f"/l/{file}").code in (0, 3)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (10, b"visor: /l was lost\n")


def test_a_guard_on_the_lock_file_refuses_the_writes_of_a_former_holder(visor: Visor) -> None:
    with visor.start("lock", "/l", "--ttl", "10m", "--", "sh", "-c", f"{SHOW}; exec sleep 600") as process:
        _, fence, lease, file = first_line(process).decode().split()
        transaction = f"guard rev {file} {fence}\nset /x 1\n"
        held = visor("txn", stdin=transaction.encode())
        visor.ok("lease", "revoke", lease, "--yes")
        lost = visor("txn", stdin=transaction.encode())
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert held.code == 0
    assert lost.code == 4


def test_a_delay_after_a_lost_holder(visor: Visor) -> None:
    with visor.start("lock", "/l", "--delay", "1s", "--", "sh", "-c", f"{SHOW}; exec sleep 60") as process:
        lease = first_line(process).split()[2].decode()
        began = time.monotonic()
        visor.ok("lease", "revoke", lease, "--yes")
        with visor.start("lock", "/l", "--", "true") as second:
            second.communicate(timeout=PATIENCE)
        assert time.monotonic() - began >= 1.0
        process.communicate(timeout=PATIENCE)


def test_a_command_that_cannot_be_run(visor: Visor) -> None:
    answer = visor("lock", "/l", "--", "/no/such/thing")
    assert answer.code == 1
    assert "/no/such/thing" in answer.err
    assert visor("ls", "/l").code == 3
    assert visor("lock", "/l", "--").code == 2


# -- elect --------------------------------------------------------------------------------------------


def test_who_leads_runs_its_command_and_everybody_sees_who(visor: Visor) -> None:
    assert visor("elect", "boss").code == 3
    with visor.start(
        "elect", "boss", "10.0.0.1", "--", "sh", "-c", f"{SHOW}; read line; exit 3", stdin=subprocess.PIPE
    ) as process:
        path, fence, lease, file = first_line(process).decode().split()
        assert path == "/elections/boss"
        shape = visor.json("elect", "boss")
        assert shape == {
            "path": path,
            "fence": int(fence),
            "lease": int(lease),
            "file": file,
            "value": "10.0.0.1",
        }
        assert visor.ok("elect", "boss").text == f"{path} {fence} leader 8\n10.0.0.1\n"
        with visor.start("--json", "elect", "boss", "--follow") as follower:
            assert json.loads(first_line(follower))["value"] == "10.0.0.1"
            process.communicate(b"\n", timeout=PATIENCE)
            assert json.loads(first_line(follower)) == {"path": path, "fence": None, "lease": None}
            follower.terminate()
            follower.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert visor("elect", "boss", "--", "true").code == 2


# -- lease --------------------------------------------------------------------------------------------


def test_a_lease_from_grant_to_revoke(own_visor: Visor) -> None:
    visor = own_visor
    lease = visor.ok("lease", "grant", "300s").text.strip()
    visor.ok("set", "/a", "1", "--lease", lease)
    visor.ok("create", "/b", "1", "--lease", lease)
    assert visor.json("stat", "/a")["lease"] == int(lease)
    assert visor.ok("lease", "ls").lines == [f"{lease}\t300\t2"]
    assert visor.json("lease", "ls") == {"leases": [{"lease": int(lease), "ttl": 300.0, "files": 2}]}
    shape = visor.json("lease", "show", lease)
    assert 0 < shape.pop("left") <= 300
    assert shape == {"lease": int(lease), "ttl": 300.0, "files": 2, "rev": 2, "paths": ["/a", "/b"]}
    assert visor.ok("lease", "keep", lease, "--once").text == f"{lease}\t300\n"
    assert visor("lease", "revoke", lease).code == 2, "somebody must say that it is wanted"
    dry = visor.json("lease", "revoke", lease, "--dry-run")
    assert [change["path"] for change in dry["changes"]] == ["/a", "/b"]
    assert visor.json("lease", "revoke", lease, "--yes", "--note", "bye") == {"lease": int(lease), "rev": 3}
    assert visor("lease", "show", lease).code == 3
    gone = visor("lease", "keep", lease)
    assert (gone.code, gone.out) == (3, b"")
    assert visor("set", "/a", "1", "--lease", lease).code == 3
    assert visor.ok("lease", "ls").text == ""


def test_ids_and_times_that_cannot_be(visor: Visor) -> None:
    wanted = str((1 << 50) + int(visor.environment["VISOR_ROOT"][2:]))
    assert visor.json("lease", "grant", "1m", "--id", wanted) == {"lease": int(wanted), "ttl": 60.0}
    assert visor("lease", "grant", "1m", "--id", wanted).code == 4
    assert visor("lease", "grant", "1m", "--id", "7").code == 2
    assert visor("lease", "grant", "100ms").code == 2
    assert visor("lease", "grant", "soon").code == 2
    visor.ok("lease", "revoke", wanted)


def test_keeping_a_lease_alive_until_interrupted(visor: Visor) -> None:
    lines = [b""]
    while not all(lines):  # again, where it ran out because the machine stood still
        lease = visor.ok("lease", "grant", "2s").text.strip()
        with visor.start("lease", "keep", lease) as process:
            lines = [first_line(process) for _ in range(3)]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
    assert lines == 3 * [f"{lease}\t2\n".encode()]
    assert process.returncode == 130
    while visor("lease", "show", lease).code != 3:
        time.sleep(0.05)
