"""History, transactions and watches through the command line, against a node."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from pathlib import Path

from tests.cli.cli_harness import Visor
from tests.patience import GROWING, PATIENCE


# -- history ------------------------------------------------------------------------------------------
def test_history_says_who_what_when_and_why(visor: Visor) -> None:
    first = visor.rev("set", "/a", "1", "--actor", "ann", "--note", "why\tnot\n")
    second = visor.rev("set", "/d/b", "2")
    third = visor.rev("del", "/a")
    newest_first = [commit["rev"] for commit in visor.json("history")["commits"]]
    assert newest_first == [third, second, first]
    assert [each["rev"] for each in visor.json("history", "--reverse", "--limit", "2")["commits"]] == [
        first,
        second,
    ]
    gone, made = visor.json("history", "/a", "--previous")["commits"]
    assert made["actor"] == "ann"
    assert made["note"] == "why\tnot\n"
    assert made["changes"] == [
        {
            "kind": "create",
            "path": "/a",
            "created": first,
            "count": 1,
            "size": 1,
            "value": "1",
            "previous": None,
        }
    ]
    assert gone["changes"] == [
        {
            "kind": "delete",
            "path": "/a",
            "created": 0,
            "count": 0,
            "previous": {"mod_rev": first, "value": "1"},
        }
    ]
    plain = visor.ok("history", "/a", "--to", str(first)).text
    assert plain == f"{first}\t{made['time']}\tann\tcreate\t/a\t1\twhy\\tnot\\n\n"
    assert visor.json("history", "--from", str(second), "--to", str(second))["commits"][0]["rev"] == second
    assert visor("history", "--from", "999999").code == 8
    assert visor("history", "--to", "nonsense").code == 2


def test_blame_names_the_last_change_of_each_file(visor: Visor) -> None:
    first = visor.rev("set", "/d/a", "1", "--actor", "ann", "--note", "n")
    second = visor.rev("set", "/d/b", "1", "--actor", "bob")
    third = visor.rev("set", "/d/b", "2", "--actor", "cid")
    rows = visor.json("blame", "/d")["files"]
    assert [(each["path"], each["mod_rev"], each["actor"], each["note"]) for each in rows] == [
        ("/d/a", first, "ann", "n"),
        ("/d/b", third, "cid", None),
    ]
    then = visor.json("blame", "/d", "--rev", second)
    assert [each["actor"] for each in then["files"]] == ["ann", "bob"]
    assert visor.ok("blame", "/d/a").text.split("\t")[2:] == ["ann", "/d/a", "n\n"]


def test_diff_between_two_revs(visor: Visor) -> None:
    visor.ok("set", "/gone", "1")
    first = visor.rev("set", "/same", "x\n")
    visor.ok("set", "/same", "y\n")
    visor.ok("set", "/new", "1")
    second = visor.rev("del", "/gone")
    assert visor.ok("diff", first).lines == ["D\t/gone", "A\t/new", "M\t/same"]
    assert visor.ok("diff", second, first).lines == ["A\t/gone", "D\t/new", "M\t/same"]
    assert visor.ok("diff", first, "latest", "/same", "--patch").text == (
        "--- a/same\n+++ b/same\n@@ -1 +1 @@\n-x\n+y\n"
    )
    found = visor.json("diff", first, second, "/new")
    assert (found["a"], found["b"], found["path"]) == (first, second, "/new")
    assert found["changes"][0]["kind"] == "create"
    assert found["changes"][0]["before"] is None
    assert found["changes"][0]["after"] == {"size": 1, "value": "1"}
    assert visor("diff", "1", "999999").code == 8
    assert visor("diff", "nonsense").code == 2


def test_revert_brings_a_subtree_back_at_one_rev(visor: Visor) -> None:
    visor.ok("set", "/d/a", "old")
    before = visor.rev("set", "/out", "1")
    visor.ok("set", "/d/a", "new")
    visor.ok("set", "/d/b", "new")
    latest = visor.rev("set", "/out", "2")
    assert visor.ok("revert", "/d", "--to", before, "--dry-run").lines == ["M\t/d/a", "D\t/d/b"]
    assert "+old" in visor.ok("revert", "/d", "--to", before, "-n", "-p").text
    assert visor.json("revert", "/d", "--to", before, "--dry-run")["dry_run"] is True
    refused = visor("revert", "/d", "--to", before)
    assert refused.code == 2
    assert "change 2 files at and below /d back" in refused.err
    assert visor("revert", "/d", "--to", before, "--since", before, "--yes").code == 4
    found = visor.json("revert", "/d", "--to", before, "--yes", "--note", "oops")
    assert found == {"path": "/d", "to": before, "rev": latest + 1, "changed": 2}
    assert visor.ok("get", "/d/a").out == b"old"
    assert visor.ok("find", "/").lines == ["/d/a", "/out"]
    assert visor.ok("get", "/out").out == b"2"
    assert visor("revert", "/d/*", "--to", before, "--yes").code == 2


def test_retain_moves_the_floor(own_visor: Visor) -> None:
    for number in range(5):
        own_visor.ok("set", "/a", str(number))
    assert own_visor("retain").code == 2
    off = own_visor("retain", "--compact", "4")
    assert off.code == 2
    assert "forget history before rev 4" in off.err
    assert own_visor.json("retain", "--compact", "4", "--dry-run")["compact"] == 4
    assert own_visor("get", "/a", "--rev", "1").code == 0
    assert own_visor.json("retain", "--compact", "4", "--yes") == {"floor": 4}
    assert own_visor("get", "/a", "--rev", "1").code == 8
    assert own_visor("watch", "--rev", "1", "--count", "1").code == 8
    assert own_visor("history", "--from", "1").code == 8
    assert [each["rev"] for each in own_visor.json("history")["commits"]] == [5]
    assert own_visor("retain", "--age", "soon", "--yes").code == 2
    assert own_visor.ok("retain", "--revs", "0", "--age", "0").text == "4\n"


def test_redact_takes_values_out_and_says_how_many(own_visor: Visor) -> None:
    for value in ("hunter2", "hunter3", "new"):
        own_visor.ok("set", "/a", value)
    found = own_visor.json("redact", "/a", "--revs", "1..2", "--why", "it leaked", "--actor", "ann")
    assert found == {"path": "/a", "versions": 2, "first": 1, "last": 2, "rev": 3, "why": "it leaked"}
    old = own_visor.ok("get", "/a", "--rev", "2").text
    assert old.startswith("redacted by ann at 20") and old.endswith("Z (7 bytes): it leaked")
    assert own_visor.json("stat", "/a", "--rev", "2")["size"] == 7
    assert own_visor.ok("get", "/a").out == b"new"
    assert own_visor.ok("redact", "/a", "--revs", "..2").text == "0\n"
    assert own_visor.ok("redact", "/a").text == "1\n"
    assert own_visor("redact", "/a", "--revs", "3..2").code == 2
    assert own_visor("redact", "/a", "--revs", "..").code == 2
    assert own_visor("redact", "/*").code == 2
    assert own_visor("redact", "/").code != 0
    assert own_visor("revert", "/a", "--to", "1", "--yes").code != 0


# -- transactions -------------------------------------------------------------------------------------
def test_a_transaction_from_text(visor: Visor, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"\x00\xff")
    program = f"guard missing /a\nthen\nset /a 1\nset /blob @{blob}\nget /blob\nls /\nnote 'first'\n"
    answer = visor.ok("txn", stdin=program.encode())
    rev = int(answer.out.split()[0])
    assert answer.out == b"%d\n/blob %d set 2\n\x00\xff\nfile\ta\nfile\tblob\n" % (rev, rev)
    assert visor.json("history", "/a")["commits"][0]["note"] == "first"
    again = visor("txn", stdin=program.encode())
    assert again.code == 4
    assert "guard missing /a does not hold" in again.err
    assert visor.rev("rev") == rev


def test_a_transaction_from_json_with_else(visor: Visor, tmp_path: Path) -> None:
    file = tmp_path / "txn.json"
    file.write_text(
        json.dumps(
            {
                "guards": [{"kind": "exists", "path": "/a"}],
                "then": [{"delete": "/a"}],
                "else": [{"set": "/a", "value_base64": "AP8="}, {"get": "/a"}, {"get": "/none"}],
            }
        )
    )
    plan = visor.json("txn", str(file), "--dry-run")
    assert plan["operations"] == [
        {"set": "/a", "value_base64": "AP8="},
        {"get": "/a"},
        {"get": "/none"},
    ]
    assert visor("stat", "/a").code == 3
    found = visor.json("txn", str(file))
    assert found["succeeded"] is False
    assert found["results"][0] is None
    assert found["results"][1]["value_base64"] == "AP8="
    assert found["results"][2] is None
    assert visor.json("txn", str(file))["succeeded"] is True
    assert visor("stat", "/a").code == 3


def test_a_failing_operation_refuses_all(visor: Visor) -> None:
    visor.ok("set", "/f", "x")
    answer = visor("txn", stdin=b"set /a 1\nset /f/below 1\n")
    assert answer.code == 4  # what is there is a file
    assert "nothing was changed: line 2, operation 2 of then: /f" in answer.err
    other = visor(
        "txn",
        stdin=b'{"guards": [{"kind": "exists", "path": "/no"}], "else": [{"set": "/f/x", "value": "1"}]}',
    )
    assert "nothing was changed: operation 1 of else: /f" in other.err
    assert visor("stat", "/a").code == 3
    assert visor("txn", stdin=b"").code == visor("txn", "/no/such/file").code == 2


# -- following ----------------------------------------------------------------------------------------
def test_watch_from_a_rev(visor: Visor) -> None:
    first = visor.rev("set", "/a", "one", "--note", "n")
    second = visor.rev("txn", stdin=b'set /a two\nset /b ""\n')
    third = visor.rev("del", "/a")
    assert visor.ok("watch", "--rev", first, "--count", "3").text == (
        f"/a {first} create 3\none\n/a {second} update 3\ntwo\n/b {second} create 0\n\n/a {third} delete 0\n\n"
    )
    lines = [json.loads(line) for line in visor.ok("watch", "--rev", first, "--count", "3", "--json").lines]
    assert [(line["type"], line["rev"]) for line in lines] == [
        ("commit", first),
        ("commit", second),
        ("commit", third),
    ]
    assert lines[0]["note"] == "n"
    several = ("/none/**", "/a", "/none")  # what a shell makes of /{none/**,a,none}
    both = visor.ok("watch", *several, "--rev", first, "--count", "1", "--json").lines
    assert json.loads(both[0])["rev"] == int(first)
    assert visor.json("wait", *several, "--rev", first)["rev"] == int(first)
    only = visor.ok("watch", "/*", "--rev", first, "--kinds", "delete", "--count", "1", "--keys").text
    assert only == f"/a {third} delete 0\n\n"
    updates = visor.ok(
        "watch", "--path", "/a", "--rev", first, "--kinds", "set", "--count", "2", "--json"
    ).lines
    assert [json.loads(line)["changes"][0]["kind"] for line in updates] == ["create", "update"]
    assert visor("watch", "--kinds", "move").code == 2
    both = visor.ok("watch", "/b", "--path", "/a", "--rev", first, "--count", "3", "--json").lines
    assert [json.loads(line)["rev"] for line in both] == [first, second, third]


def test_watch_with_state_and_previous(visor: Visor) -> None:
    visor.ok("set", "/a", "one")
    first = visor.rev("set", "/b", "\u00e4")
    second = visor.rev("set", "/a", "two")
    answer = visor.ok(
        "watch", "--state", "--rev", second, "--previous", "--count", "1", "--json", "--kinds", "update"
    )
    state, commit = (json.loads(line) for line in answer.lines)
    assert (state["type"], state["rev"]) == ("state", first)
    assert [(file["path"], file["value"]) for file in state["files"]] == [("/a", "one"), ("/b", "ä")]
    assert commit["changes"][0]["previous"]["value"] == "one"
    plain = visor.ok("watch", "--state", "--rev", second, "--count", "1").text
    assert plain == f"/a {first - 1} state 3\none\n/b {first} state 2\nä\n/a {second} update 3\ntwo\n"


def test_a_watch_ends_at_its_deadline(visor: Visor) -> None:
    seconds, answer = visor.late("watch")
    assert answer.code == 124
    assert f"the watch ended after its {seconds:g} s" in answer.err
    assert visor.late("wait", "/a")[1].code == 124
    assert visor.late("get", "/a", "--rev", "999999")[1].code == 124


def test_wait_prints_the_first_change(visor: Visor) -> None:
    first = visor.rev("set", "/a", "1")
    visor.ok("set", "/a", "2")
    assert visor.ok("wait", "/a", "--rev", first).text == f"/a {first} create 1\n1\n"
    found = visor.json("wait", "/*", "--rev", first, "--kinds", "update")
    assert found["changes"][0]["value"] == "2"
    assert visor("wait").code == 2


def test_wait_sees_what_comes_later(visor: Visor) -> None:
    rev = visor.rev("rev")
    with visor.start("wait", "/later", "--rev", rev + 1, "--timeout", "20s") as waiting:
        visor.ok("set", "/other", "1")
        visor.ok("set", "/later", "1")
        out, err = waiting.communicate(timeout=PATIENCE)
    assert (out, err) == (b"/later %d create 1\n1\n" % (rev + 2), b"")


def test_a_command_runs_for_each_commit(visor: Visor, tmp_path: Path) -> None:
    first = visor.rev("set", "/a", "one", "--actor", "ann", "--note", "a b")
    visor.ok("set", "/b", "two")
    log = tmp_path / "log"
    told = " ".join(f"$VISOR_{name}" for name in ("EVENT", "REV", "BY", "NOTE", "CHANGES", "PATH", "KIND"))
    script = f'{{ echo "{told}"; cat; }} >> {log}'
    visor.ok("watch", "--rev", first, "--count", "2", "--", "sh", "-c", script)
    lines = log.read_text().splitlines()
    assert lines[0] == f"commit {first} ann a b 1 /a create"
    assert json.loads(lines[1])["changes"][0]["value"] == "one"
    assert json.loads(lines[3])["rev"] == first + 1


def test_a_command_that_fails_ends_the_watch_and_says_where_to_go_on(visor: Visor) -> None:
    first = visor.rev("set", "/a", "one")
    visor.ok("set", "/a", "two")
    answer = visor("watch", "--rev", first, "--", "sh", "-c", "exit 7")
    assert answer.code == 1
    assert f"sh ended with 7 at rev {first}; go on with --rev {first + 1} (or --rev {first})" in answer.err
    going = visor("watch", "--rev", first, "--count", "2", "--keep-going", "--", "sh", "-c", "exit 7")
    assert going.code == 0
    assert going.err.count("sh ended with 7") == 2
    killed = visor("watch", "--rev", first, "--", "sh", "-c", "kill -9 $$")
    assert "was ended by signal 9" in killed.err
    missing = visor("watch", "--rev", first, "--", "/no/such/program")
    assert missing.code == 1
    assert "cannot run /no/such/program: No such file" in missing.err
    assert visor("watch", "--").code == 2
    # A command that does not read its input is no failure.
    visor.ok("watch", "--rev", first, "--count", "1", "--", "true")


def test_a_command_gets_the_state(visor: Visor, tmp_path: Path) -> None:
    rev = visor.rev("set", "/a", "one")
    log = tmp_path / "log"
    script = f"echo $VISOR_EVENT >> {log}; cat >> {log}"
    for seconds in GROWING:
        visor("watch", "--state", "--timeout", f"{seconds}s", "--", "sh", "-c", script)
        if log.exists():
            break
    event, document = log.read_text().splitlines()
    assert event == "state"
    assert json.loads(document)["rev"] >= rev
    assert [each["path"] for each in json.loads(document)["files"]] == ["/a"]


def test_two_who_touch_lose_nothing(visor: Visor) -> None:
    """`touch` is guarded: a write between its read and its write is not undone."""
    visor.ok("set", "/a", "0")
    touching = [visor.start("touch", "/a") for _ in range(2)]
    last = 0
    while any(process.poll() is None for process in touching):
        last += 1
        visor.ok("set", "/a", str(last))
        with contextlib.suppress(subprocess.TimeoutExpired):  # a writer without a pause could win for ever
            next((one for one in touching if one.poll() is None), touching[0]).wait(0.01)
    for process in touching:
        assert process.returncode == 0, process.communicate()
        process.communicate()
    assert visor.ok("get", "/a").text == str(last)


def test_runs_in_threads_do_not_need_signals(visor: Visor) -> None:
    """Outside the main thread there are no signal handlers; the command works all the same."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(visor("rev").code))
    thread.start()
    thread.join(PATIENCE)
    assert codes == [0]


def test_blame_leaves_out_what_is_forgotten(own_visor: Visor) -> None:
    for name in ("/a", "/b", "/c"):
        own_visor.ok("set", name, "1")
    own_visor.ok("retain", "--compact", "2", "--yes")
    assert [each["path"] for each in own_visor.json("blame")["files"]] == ["/c"]
