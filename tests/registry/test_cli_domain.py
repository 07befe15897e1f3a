"""The domain's commands: what they print, what they end with."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import visor as library
from tests.cli.cli_harness import Visor
from tests.patience import PATIENCE, eventually
from visor.registry import Registry


@pytest.fixture
def visor(address: str, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visor]:
    for name in [name for name in os.environ if name.startswith("VISOR_") and name != "VISOR_TEST_ADDR"]:
        monkeypatch.delenv(name)
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path),
        "COLUMNS": "160",
        "VISOR_ADDR": address,
        "VISOR_ROOT": root,
        "VISOR_ACTOR": "tester",
        "VISOR_TIMEOUT": f"{PATIENCE:g}s",
        "NO_COLOR": "1",
    }
    yield Visor(environment, monkeypatch)
    with library.dial(address, root) as client:
        assert Registry(client).verify() == []


@pytest.fixture
def web(visor: Visor) -> Visor:
    visor.ok("init")
    visor.ok("app", "register", "web", "--repo", "git://git/web", "--stack", "trusty", "--var", "A_B=1")
    visor.ok("rev", "register", "web", "v1", "--archive", "http://archive/v1")
    visor.ok("proc", "register", "web", "worker", "--command", "sleep 60", "--memory", "64")
    return visor


def test_init_says_the_schema_and_checks(visor: Visor) -> None:
    assert visor("init", "--check").code == 3
    assert visor.ok("init").text == "4\n"
    assert visor.json("init") == {"schema": 4}
    assert visor.ok("init", "--check").text == "all is well\n"
    visor.ok("set", "/apps/x/app", "nonsense")
    answer = visor("init", "--check", "--json")
    assert answer.code == 1
    assert json.loads(answer.out)["faults"][0]["path"] == "/apps/x/app"
    visor.ok("del", "/apps/x/app")


def test_apps(web: Visor) -> None:
    assert web.ok("app", "ls").text == "web\ttrusty\t\tgit://git/web\n"
    (app,) = web.json("app", "ls")["apps"]
    assert (app["name"], app["repo_url"], app["stack"]) == ("web", "git://git/web", "trusty")
    web.ok("app", "head", "web", "v1")
    assert web.ok("app", "head", "web").text == "v1\n"
    shown = web.json("app", "show", "web")
    assert (shown["head"], shown["revisions"], shown["procs"]) == ("v1", ["v1"], ["worker"])
    assert shown["variables"] == {"A_B": "1"}
    assert web("app", "register", "web").code == 4
    assert web("app", "register", "a_b").code == 2
    assert web("app", "show", "other").code == 3
    assert web("app", "unregister", "web").code == 2  # nobody to ask
    assert web.rev("app", "unregister", "web", "--yes") > 0
    assert web.ok("app", "ls").out == b""
    assert "APP" in web.ok("app", "ls", "--rev", str(app["rev"]), "-o", "table").text


def test_what_is_registered_is_not_to_be_set_by_hand(web: Visor) -> None:
    """The advice for a file that exists would damage the record."""
    for words in (
        ("app", "register", "web"),
        ("rev", "register", "web", "v1"),
        ("proc", "register", "web", "worker"),
    ):
        answer = web(*words)
        assert answer.code == 4
        assert "is registered already" in answer.err
        assert "look at it with 'show'" in answer.err
        assert "visor set" not in answer.err


def test_what_cannot_be_read_stands_beside_the_others(web: Visor) -> None:
    web.ok("app", "register", "other")
    web.ok("set", "/apps/web/app", "nonsense")
    answer = web("app", "ls")
    assert (answer.code, answer.text) == (1, "other\t\t\t\n")
    assert "/apps/web/app: not an app" in answer.err
    assert [each["name"] for each in json.loads(web("app", "ls", "--json").out)["apps"]] == ["other"]
    assert web("init", "--repair").code == 2  # nobody to ask
    assert web.ok("init", "--repair", "--yes").text == "/apps/web/app: taken out\n"
    assert web.ok("init", "--repair").text == "every file can be read\n"
    web.ok("app", "register", "web")  # and what belongs to it is there still
    assert web.ok("rev", "ls", "web").text == "web\tv1\thttp://archive/v1\n"
    (identity,) = web.json("scale", "web", "v1", "worker", "1")["instances"]
    web.ok("set", f"/apps/web/instances/v1/worker/_/{identity:015d}", "nonsense")
    assert web("instance", "ls").code == 1
    assert "brought back" in web.ok("init", "--repair", "--yes").text
    assert str(identity) in web.ok("instance", "ls").text


def test_revisions_and_the_latest_rev(web: Visor) -> None:
    assert int(web.ok("rev").text) == web.json("rev")["rev"]
    assert set(web.json("rev")) == {"rev", "floor", "time"}
    assert web.ok("rev", "--stale").code == 0
    assert web.ok("rev", "ls").text == "web\tv1\thttp://archive/v1\n"
    assert web.ok("rev", "exists", "web", "v1").text == "yes\n"
    assert web("rev", "exists", "web", "v2").code == 3
    assert web("rev", "register", "web", "v1").code == 4
    assert web.json("rev", "show", "web", "v1")["instances"] == 0
    web.ok("rev", "unregister", "web", "v1")
    assert web.ok("rev", "ls", "web").text == ""
    assert web("rev", "ls", "other").code == 3


def test_process_types(web: Visor) -> None:
    assert web.ok("proc", "ls").text == "web\tworker\t8000\tsleep 60\n"
    web.ok("proc", "set", "web", "worker", "--command", "sleep 61", "--attr", "a=b")
    shown = web.json("proc", "show", "web", "worker")
    assert (shown["command"], shown["attrs"], shown["limits"]) == ("sleep 61", {"a": "b"}, {"memory_mb": 64})
    assert web.json("proc", "register", "web", "batch", "--no-port")["port"] is None
    assert web("proc", "register", "web", "a-b").code == 2
    web.ok("proc", "unregister", "web", "batch")


def test_environments(web: Visor) -> None:
    assert web.ok("env", "get", "web").text == "A_B=1\n"
    web.ok("env", "set", "web", "DB=postgres://x=y", "C=")
    assert web.ok("env", "get", "web", "DB").text == "postgres://x=y\n"
    web.ok("env", "del", "web", "C", "A_B")
    assert web("env", "get", "web", "C").code == 3
    assert web("env", "set", "web", "nonsense").code == 2
    web.ok("env", "register", "web", "prod", "A=1", "B=2")
    assert web.ok("env", "ls", "web").text == "web\tprod\t2\n"
    assert web.json("env", "show", "web", "prod")["variables"] == [
        {"key": "A", "value": "1"}, {"key": "B", "value": "2"},
    ]  # fmt: skip
    assert web("env", "register", "web", "prod", "A=2").code == 4
    web.ok("scale", "web", "v1", "worker", "1", "--env", "prod")
    assert web("env", "unregister", "web", "prod").code == 4
    web.ok("scale", "web", "v1", "worker", "0", "--env", "prod")
    web.ok("env", "unregister", "web", "prod")


def test_scale(web: Visor) -> None:
    assert web.ok("scale", "web", "v1", "worker", "5").text == "5\n"
    assert web.ok("scale", "web", "v1", "worker", "-2").text == "3\n"
    assert web.ok("scale", "web", "v1", "worker", "+1").text == "4\n"
    assert web.ok("scale", "web", "v1", "worker").text == "4\n"
    told = web.json("scale", "web", "v1", "worker", "6")
    assert (told["previous"], told["count"], len(told["instances"])) == (4, 6, 2)
    assert web.json("scale", "web", "v1", "worker")["by_env"] == {"": 6}
    assert web("scale", "web", "v1", "worker", "-9").code == 2
    assert web("scale", "web", "v9", "worker", "1").code == 3
    assert web("scale", "web", "v1", "worker", "many").code == 2


def test_the_life_of_an_instance(web: Visor) -> None:
    identity = web.ok("instance", "register", "web", "v1", "worker").text.strip()
    assert web.ok("instance", "ls").text == f"{identity}\tpending\tweb\tv1\tworker\t-\t-\t-\n"
    web.ok("instance", "claim", identity, "--host", "10.0.0.1")
    assert web("instance", "claim", identity, "--host", "10.0.0.2").code == 4
    assert web("instance", "started", identity, "--host", "10.0.0.2").code == 5
    web.ok("instance", "started", identity, "--port", "8001", "--hostname", "node")
    shown = web.json("instance", "show", identity)
    assert (shown["state"], shown["host"], shown["port"], shown["revision"]) == (
        "running",
        "10.0.0.1",
        8001,
        "v1",
    )
    assert web.ok("instance", "ls", "--host", "10.0.0.1").text.split("\t")[7] == "10.0.0.1:8001\n"
    web.ok("instance", "lock", identity, "--reason", "debugging")
    assert "locked by tester" in web.ok("instance", "ls", "-o", "table").text
    web.ok("instance", "unlock", identity)
    web.ok("instance", "stop", identity)
    answer = web("instance", "unclaim", identity, "--json")
    assert answer.code == 4
    assert json.loads(answer.err)["error"]["code"] == "illegal_move"
    assert "stopping" in answer.err and "pending" in answer.err
    web.ok("instance", "exited", identity)
    assert web.ok("instance", "wait", identity).text == "exited\n"
    assert web.ok("instance", "ls").text == ""
    assert web.ok("instance", "ls", "--all", "web").text.startswith(identity)
    other = web.ok("instance", "register", "web", "v1", "worker", "--on", "h:80").text.strip()
    web.ok("instance", "lost", other, "--reason", "silent")
    third = web.ok("instance", "register", "web", "v1", "worker", "--on", "h:81").text.strip()
    web.ok("instance", "failed", third, "--reason", "exit code 1")
    assert web.ok("instance", "ls", "--state", "failed").text.startswith(third)
    web.ok("instance", "unregister", third)
    assert web.ok("instance", "purge", "--yes").text == "2\n"
    assert web("instance", "show", identity).code == 3
    assert "purged" in web("instance", "show", other).err


def test_waiting_ends_with_the_deadline(web: Visor) -> None:
    identity = web.ok("instance", "register", "web", "v1", "worker").text.strip()
    assert web.late("instance", "wait", identity, "running")[1].code == 124
    ticket = web.ok("ticket", "create", "start", "web", "v1", "worker").text.strip()
    assert web.late("ticket", "wait", ticket)[1].code == 124


def test_tickets(web: Visor) -> None:
    ticket = web.ok("ticket", "create", "stop", "web", "v1", "worker").text.strip()
    web.ok("scale", "web", "v1", "worker", "1")
    assert [row.split("\t")[1:3] for row in web.ok("ticket", "ls").lines] == [
        ["stop", "unclaimed"],
        ["start", "unclaimed"],
    ]
    assert web.ok("ticket", "claim", "--host", "h", "--op", "stop").text.strip() == ticket
    assert web("ticket", "claim", ticket, "--host", "g").code == 4
    assert web.json("ticket", "ls", "--host", "h")["tickets"][0]["id"] == int(ticket)
    web.ok("ticket", "unclaim", ticket)
    web.ok("ticket", "claim", ticket, "--host", "g")
    assert web("ticket", "done", ticket, "--host", "h").code == 5
    web.ok("ticket", "done", ticket, "--host", "g")
    assert web.ok("ticket", "wait", ticket).text == "done\n"
    assert web.json("ticket", "show", ticket)["status"] == "done"
    start = web.json("ticket", "claim", "--host", "h")
    assert start["instance"] == start["id"]
    web.ok("ticket", "dead", str(start["id"]), "--reason", "no room")
    assert web("ticket", "claim", "--host", "h").code == 3
    assert web.json("instance", "show", str(start["id"]))["state"] == "failed"


def test_services_and_runners(visor: Visor) -> None:
    visor.ok("service", "register", "db")
    visor.ok("service", "add", "db", "127.0.0.1:5432", "--priority", "2", "--weight", "10")
    visor.ok("service", "add", "db", "10.0.0.9:5432", "--priority", "1")
    assert visor.ok("service", "show", "db").text == (
        "1\t0\t5432\t10.0.0.9\t10.0.0.9:5432\n2\t10\t5432\t127.0.0.1\t127.0.0.1:5432\n"
    )
    assert visor("service", "add", "db", "10.0.0.9:5432").code == 4
    assert visor("service", "add", "db", "nonsense").code == 2
    visor.ok("service", "rm", "db", "10.0.0.9:5432")
    assert visor.ok("service", "ls").text == "db\n"
    visor.ok("service", "unregister", "db")
    visor.ok("runner", "register", "h:9000", "812000")
    assert visor.ok("runner", "ls", "h").text == "h:9000\t812000\n"
    visor.ok("runner", "unregister", "h:9000")
    assert visor.ok("runner", "members").text == ""


def test_events(web: Visor) -> None:
    web.ok("scale", "web", "v1", "worker", "2")
    lines = web.ok("event", "ls").lines
    assert [line.split()[2] for line in lines] == [
        "app-register", "rev-register", "proc-register", "instance-register", "instance-register",
    ]  # fmt: skip
    assert "by tester: scale web v1 worker: 0 -> 2" in lines[-1]
    assert len(web.ok("event", "ls", "--type", "rev-register").lines) == 1
    first = json.loads(web.ok("event", "tail", "--rev", "1", "--count", "1", "--json").text)
    assert (first["type"], first["source"]["name"], first["path"]) == ("app-register", "web", {"app": "web"})
    assert web.late("event", "tail")[1].code == 124


def test_an_instance_is_followed_to_its_end(web: Visor) -> None:
    identity = web.ok("instance", "register", "web", "v1", "worker").text.strip()
    child = web.start("instance", "tail", identity)
    for move in (["claim", identity, "--host", "h"], ["started", identity], ["failed", identity]):
        web.ok("instance", *move)
    out, _ = child.communicate(timeout=PATIENCE)
    assert [line.split()[2] for line in out.decode().splitlines()] == [
        "instance-register", "instance-state-change", "instance-start", "instance-fail",
    ]  # fmt: skip
    assert child.returncode == 0
    assert web.ok("instance", "tail", identity).out == out
    assert web("instance", "tail", "7").code == 3


@pytest.mark.parametrize("form", ["json", "plain"])
def test_a_list_that_is_watched_tells_every_change(web: Visor, form: str) -> None:
    web.ok("scale", "web", "v1", "worker", "1")
    child = web.start("instance", "ls", "web", "--all", "--watch", "-o", form)
    assert child.stdout is not None
    first = child.stdout.readline().decode()
    identity = str(json.loads(first)["id"]) if form == "json" else first.split("\t")[0]
    web.ok("instance", "claim", identity, "--host", "h")
    second = child.stdout.readline().decode()
    assert (json.loads(second)["state"] if form == "json" else second.split("\t")[1]) == "claimed"
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 130
    child.stdout.close()
    assert child.stderr is not None
    child.stderr.close()


def test_a_list_that_is_watched_on_a_terminal_is_drawn_again(web: Visor, address: str, root: str) -> None:
    with library.dial(address, root) as client:
        registry = Registry(client)

        def screens() -> list[bytes]:
            stream = getattr(sys.stdout, "buffer", None)
            return stream.getvalue().split(b"\x1b[H")[1:] if isinstance(stream, io.BytesIO) else []

        def act() -> None:
            eventually(lambda: len(screens()) == 1)
            registry.scale("web", "v1", "worker", 3)
            eventually(lambda: [screen.count(b"pending") for screen in screens()] == [0, 3])
            os.kill(os.getpid(), signal.SIGINT)

        actor = threading.Thread(target=act)
        actor.start()
        answer = web("instance", "ls", "--watch", terminal="o")
        actor.join()
    assert answer.code == 130
    drawn = answer.text.split("\x1b[H")[1:]
    assert len(drawn) == 2
    assert drawn[0].count("pending") == 0
    assert drawn[1].count("pending") == 3
