"""Reading and writing through the command line, against a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.cli_harness import Visor

BINARY = bytes(range(256)) * 3 + b"\r\n\x00"


def test_a_value_goes_in_and_comes_out_byte_for_byte(visor: Visor, tmp_path: Path) -> None:
    file = tmp_path / "binary"
    file.write_bytes(BINARY)
    visor.ok("set", "/file", f"@{file}")
    visor.ok("set", "/option", "--file", str(file))
    visor.ok("set", "/stdin", "-", stdin=BINARY)
    for path in ("/file", "/option", "/stdin"):
        assert visor.ok("get", path).out == BINARY


def test_an_empty_value_is_a_value(visor: Visor) -> None:
    visor.ok("set", "/empty", "")
    assert visor.ok("get", "/empty").out == b""
    assert visor.json("get", "/empty")["size"] == 0


def test_get_on_a_terminal_ends_the_line_and_hides_control_characters(visor: Visor) -> None:
    visor.ok("set", "/a", "one\ntwo\x1b[2J")
    assert visor.ok("get", "/a", terminal="o").out == b"one\ntwo\\x1b[2J\n"
    assert visor.ok("get", "/a", "-o", "plain", terminal="o").out == b"one\ntwo\\x1b[2J"
    assert visor.ok("get", "/a", "-o", "plain").out == b"one\ntwo\x1b[2J"


def test_values_in_json_are_text_or_base64(visor: Visor) -> None:
    rev = visor.rev("set", "/text", "grüß")
    assert visor.json("get", "/text") == {
        "path": "/text",
        "rev": rev,
        "mod_rev": rev,
        "created": rev,
        "count": 1,
        "lease": 0,
        "size": 6,
        "value": "grüß",
    }
    visor.ok("set", "/bytes", "-", stdin=b"\xff\x00")
    found = visor.json("get", "/bytes")
    assert (found["value_base64"], "value" in found) == ("/wA=", False)


def test_values_through_a_codec(visor: Visor) -> None:
    visor.ok("set", "/m", '{"a": [1, "x"]}', "--codec", "msgpack")
    assert visor.ok("get", "/m").out == b"\x81\xa1a\x92\x01\xa1x"
    assert visor.ok("get", "/m", "--codec", "msgpack").out == b'{"a": [1, "x"]}\n'
    assert visor.json("get", "/m", "--codec", "msgpack")["decoded"] == {"a": [1, "x"]}
    wrong = visor("get", "/m", "--codec", "json")
    assert wrong.code == 1
    assert "cannot be decoded as json" in wrong.err
    wrong = visor("set", "/n", "seven", "--codec", "int")
    assert wrong.code == 2
    assert "does not fit --codec int" in wrong.err


@pytest.mark.parametrize(
    "arguments",
    [(), ("x", "--value", "y"), ("--file", "f", "--value", "y"), ("x", "--file", "f")],
)
def test_exactly_one_value_is_needed(visor: Visor, arguments: tuple[str, ...]) -> None:
    answer = visor("set", "/a", *arguments)
    assert answer.code == 2
    assert "expected one value" in answer.err
    assert visor("stat", "/a").code == 3


def test_a_value_that_looks_like_something_else(visor: Visor) -> None:
    visor.ok("set", "/a", "--value=-")
    assert visor.ok("get", "/a").out == b"-"
    visor.ok("set", "/a", "--value=@nobody")
    assert visor.ok("get", "/a").out == b"@nobody"


def test_guards(visor: Visor) -> None:
    first = visor.rev("set", "/a", "1", "--create")
    assert visor("set", "/a", "2", "--missing").code == 4
    assert visor("create", "/a", "2").code == 4
    assert visor("set", "/b", "2", "--exists").code in (3, 4)
    assert visor("set", "/a", "2", "--guard-rev", first + 1).code == 4
    second = visor.rev("set", "/a", "2", "--guard-rev", first)
    assert visor("set", "/a", "3", "--since", first).code == 4
    third = visor.rev("set", "/a", "3", "--since", second)
    assert third == visor.json("stat", "/a")["mod_rev"]
    both = visor("set", "/a", "4", "--create", "--exists")
    assert both.code == 2
    assert "--create and --exists exclude each other" in both.err
    assert visor("del", "/a", "--guard-rev", second).code == 4
    assert visor.rev("del", "/a", "--guard-rev", third) > third


def test_touch_takes_a_rev_and_keeps_the_value(visor: Visor) -> None:
    first = visor.rev("set", "/a", "-", stdin=BINARY)
    second = visor.rev("touch", "/a")
    assert second > first
    assert visor.ok("get", "/a").out == BINARY
    assert visor.json("touch", "/new")["created"] is True
    assert visor.ok("get", "/new").out == b""
    assert visor("touch", "--no-create", "/missing").code == 3


def test_ls_stat_find_walk(visor: Visor) -> None:
    for path in ("/s/a/port", "/s/b/port", "/s/b/host", "/top"):
        rev = visor.rev("set", path, path)
    assert visor.ok("ls").lines == ["s/", "top"]
    assert visor.ok("ls", "/s", "--limit", "1").lines == ["a/"]
    assert visor.ok("ls", "-l", "/s/b").lines == [f"file\t9\t{rev - 1}\thost", f"file\t9\t{rev - 2}\tport"]
    assert visor.ok("find", "/s").lines == ["/s/a/port", "/s/b/host", "/s/b/port"]
    assert visor.ok("find", "/s", "--depth", "1").lines == []
    assert visor.ok("find", "--depth", "1").lines == ["/top"]
    assert visor.ok("find", "--limit", "1").lines == ["/s/a/port"]
    assert visor.ok("scan", "/s/*/port").lines == ["/s/a/port", "/s/b/port"]
    assert visor.ok("scan", "/s/**", "--reverse", "--limit", "2").lines == ["/s/b/port", "/s/b/host"]
    assert visor.ok("scan", "/**", "--count").lines == ["4"]
    assert visor.ok("scan", "--children", "/s/b").lines == ["/s/b/host", "/s/b/port"]
    assert visor.ok("scan", "--prefix", "/s/a").lines == ["/s/a/port"]
    assert visor.ok("scan", "--path", "/top").lines == ["/top"]
    assert visor.ok("scan", "/none/*").lines == []
    assert visor.ok("scan", "/top", "/s/*/port", "/none").lines == ["/s/a/port", "/s/b/port", "/top"]
    assert visor.ok("scan", *["/top"] * 40).lines == ["/top"]  # 32 different ones are the most
    assert visor.ok("scan", "/{top,none}", "--children", "/s/a", "--path", "/s/b/host").lines == [
        "/s/a/port",
        "/s/b/host",
        "/top",
    ]
    assert visor("scan").code == 2
    assert "has a { at position 1 without a }" in visor("scan", "/{top").err
    assert visor.ok("stat", "/top").text == f"file\t4\t{rev}\t/top\n"
    assert visor.json("stat", "/s")["kind"] == "directory"
    assert visor("find", "/none").code == visor("ls", "/none").code == visor("stat", "/none").code == 3


def test_lists_in_json(visor: Visor) -> None:
    rev = visor.rev("set", "/d/a", "1")
    file = {"path": "/d/a", "rev": rev, "mod_rev": rev, "created": rev, "count": 1, "lease": 0}
    assert visor.json("find", "/d") == {"path": "/d", "rev": rev, "files": [file]}
    assert visor.json("scan", "/**", "--values") == {"rev": rev, "files": [{**file, "size": 1, "value": "1"}]}
    assert visor.json("scan", "/no/*") == {"rev": rev, "files": []}
    assert visor.json("scan", "/**", "--count") == {"rev": rev, "count": 1}
    entry = {"name": "a", "path": "/d/a", "kind": "file", "size": 1, "mod_rev": rev}
    assert visor.json("ls", "/d") == {"path": "/d", "rev": rev, "entries": [entry]}
    assert [json.loads(line) for line in visor.ok("-o", "jsonl", "ls", "/d").lines] == [entry]


def test_records_are_binary_safe(visor: Visor) -> None:
    rev = visor.rev("set", "/a", "-", stdin=b"x\n/b 1 set 3\n")
    assert visor.ok("scan", "/**", "--values").out == b"/a %d set 13\nx\n/b 1 set 3\n\n" % rev


def test_reading_the_past(visor: Visor) -> None:
    first = visor.rev("set", "/a", "old")
    visor.ok("set", "/a", "new")
    time = visor.json("history", "/a")["commits"][-1]["time"]
    assert visor.ok("get", "/a", "--rev", first).out == b"old"
    assert visor.ok("get", "/a", "--at", "0s").out == b"new"
    assert visor.ok("get", "/a", "--at", time).out in (b"old", b"new")  # both may be of one millisecond
    assert visor("get", "/a", "--at", "1h").code == 3
    assert visor("get", "/a", "--at", "1h", "--rev", "1").code == 2
    assert visor("get", "/a", "--at", "someday").code == 2
    assert visor.ok("scan", "/**", "--rev", first, "--values").out == b"/a %d set 3\nold\n" % first


def test_deleting_a_subtree_wants_consent(visor: Visor) -> None:
    for path in ("/d/a", "/d/b/c", "/keep"):
        visor.ok("set", path, "x")
    assert visor("del", "/d").code == 4  # a directory, not a file
    off = visor("del", "-r", "/d")
    assert off.code == 2
    assert "delete 2 files at and below /d" in off.err
    assert "--yes" in off.err
    assert visor.ok("del", "-r", "/d", "--dry-run").lines == ["D\t/d/a", "D\t/d/b/c"]
    plan = visor.json("del", "-r", "/d", "--dry-run")
    assert plan["changes"] == [{"path": "/d/a", "kind": "delete"}, {"path": "/d/b/c", "kind": "delete"}]
    refused = visor("del", "-r", "/d", stdin=b"n\n", terminal="io")
    assert refused.code == 1
    assert "nothing was changed" in refused.err
    assert visor.ok("scan", "/d/**", "--count").text == "2\n"
    assert visor("del", "-r", "/d", stdin=b"", terminal="io").code == 1  # Ctrl-D
    agreed = visor("del", "-r", "/d", stdin=b"y\n", terminal="i")
    assert agreed.code == 0
    assert "Delete 2 files at and below /d? [y/N]" in agreed.err
    assert agreed.text.strip().isdigit()
    assert visor.ok("find").lines == ["/keep"]
    assert visor("del", "-r", "/d", "--yes").code == visor("del", "-r", "/d").code == 3
    assert visor.rev("del", "/keep") > 0


def test_roots_do_not_see_each_other(visor: Visor) -> None:
    visor.ok("set", "/a", "1")
    assert visor("get", "/a", VISOR_ROOT="/elsewhere").code == 3
    inside = visor.environment["VISOR_ROOT"]
    assert visor.ok("get", f"{inside}/a", "--root", "/").out == b"1"
    assert visor.ok("--root", inside, "get", "/a", VISOR_ROOT="/elsewhere").out == b"1"


def test_the_option_after_the_command_wins(visor: Visor) -> None:
    visor.ok("set", "/a", "1")
    assert visor.ok("-o", "json", "get", "/a", "-o", "plain").out == b"1"
    assert visor.ok("get", "/a", VISOR_OUTPUT="json").out.startswith(b"{")
    assert visor("get", "/a", VISOR_OUTPUT="yaml").code == 2


def test_node_commands(visor: Visor) -> None:
    rev = visor.rev("set", "/a", "1")
    assert visor.rev("rev") == rev
    assert visor.rev("nop") == rev
    found = visor.json("rev")
    assert found["rev"] == rev
    assert found["time"].endswith("Z")
    assert visor.json("status")["rev"] == rev
    assert f"rev\t{rev}" in visor.ok("status").lines
    assert float(visor.ok("ping").text) > 0
    assert len(visor.ok("ping", "-c", "3", "--json").lines) == 3
    assert visor.json("version")["version"]
    assert visor.ok("--version").text.startswith("visor ")
