"""Sealed values through the command line: opened with the key, told to be sealed without it, never shown as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.cli_harness import Visor
from visor import codecs

NEW, OLD = bytes(range(32)), bytes(range(32, 64))


@pytest.fixture
def keys(tmp_path: Path) -> str:
    return key_file(tmp_path / "keys", {"2026": NEW, "2025": OLD})


def key_file(file: Path, keys: dict[str, bytes]) -> str:
    file.write_text("".join(f"{name} {key.hex()}\n" for name, key in keys.items()))
    file.chmod(0o600)
    return str(file)


@pytest.fixture
def sealed(visor: Visor, keys: str) -> Visor:
    """The command with a sealed value in /db, and another that is not in /plain."""
    visor.ok("set", "/db", "geheim", "--sealed", "--sealing-keys", keys)
    visor.ok("set", "/plain", "offen")
    return visor


def test_with_the_key_it_is_the_value(sealed: Visor, keys: str) -> None:
    assert sealed.ok("get", "/db", "--sealing-keys", keys).out == b"geheim"
    assert sealed.ok("get", "/db", "--sealing-keys", keys, terminal="o").out == b"geheim\n"
    found = sealed.json("get", "/db", "--sealing-keys", keys)
    path = f"{sealed.environment['VISOR_ROOT']}/db"
    assert (found["value"], found["sealed"]) == ("geheim", {"key": "2026", "for": path, "opened": True})
    sealed.environment["VISOR_SEALING_KEYS"] = keys
    assert sealed.ok("get", "/db").out == b"geheim"
    assert sealed.ok("get", "/plain").out == b"offen"


def test_without_the_key_it_is_told_to_be_sealed_and_never_shown(sealed: Visor) -> None:
    answer = sealed("get", "/db")
    assert (answer.code, answer.out) == (1, b"")
    assert "/db: sealed with key 2026" in answer.err
    assert "--sealing-keys" in answer.err
    for words in (("get", "/db", "--codec", "json"), ("get", "/db", "--codec", "msgpack")):
        assert sealed(*words).code == 1
        assert "sealed with key 2026" in sealed(*words).err
    found = sealed.json("get", "/db")
    assert found["sealed"]["opened"] is False
    assert "value" not in found
    assert "decoded" not in sealed.json("get", "/db", "--codec", "json")


@pytest.mark.parametrize(
    "words",
    [("scan", "/**", "--values"), ("find", "/", "--values"), ("history", "/db"), ("diff", "0")],
    ids=lambda words: words[0],
)
def test_tables_say_that_it_is_sealed(sealed: Visor, keys: str, words: tuple[str, ...]) -> None:
    table = sealed.ok(*words, "-o", "table").text
    assert "(sealed with key 2026" in table
    assert "c1 73" not in table
    assert "geheim" in sealed.ok(*words, "-o", "table", "--sealing-keys", keys).text


def test_as_stored_are_the_bytes(sealed: Visor) -> None:
    data = sealed.ok("get", "/db", "--codec", "bytes").out
    path = f"{sealed.environment['VISOR_ROOT']}/db"
    assert codecs.sealed({"2026": NEW}, codecs.TEXT).at(path).decode(data) == "geheim"


def test_another_key_says_which_is_missing(sealed: Visor, tmp_path: Path) -> None:
    other = key_file(tmp_path / "other", {"2025": OLD})
    assert (
        "sealed with key 2026, which is not here (here: 2025)"
        in sealed("get", "/db", "--sealing-keys", other).err
    )


def test_damage_is_told(sealed: Visor, keys: str) -> None:
    data = sealed.ok("get", "/db", "--codec", "bytes").out
    sealed.ok("set", "/changed", "-", stdin=data[:-1] + bytes([data[-1] ^ 1]))
    sealed.ok("set", "/cut", "-", stdin=data[:9])
    assert "the seal is broken" in sealed("get", "/changed", "--sealing-keys", keys).err
    assert "damaged" in sealed("get", "/cut", "--sealing-keys", keys).err
    assert sealed.json("get", "/cut")["sealed"] == {"key": None, "for": None, "opened": False}


def test_a_codec_reads_what_is_inside(visor: Visor, keys: str) -> None:
    visor.environment["VISOR_SEALING_KEYS"] = keys
    visor.ok("create", "/n", " 7\n", "--codec", "int", "--sealed")
    assert visor.ok("get", "/n", "--codec", "int").out == b"7\n"
    assert visor.json("get", "/n", "--codec", "int")["decoded"] == 7


def test_keys_that_cannot_be_used_are_told(visor: Visor, keys: str) -> None:
    visor.ok("set", "/a", "b")
    assert "give --sealing-keys FILE" in visor("set", "/a", "b", "--sealed").err
    Path(keys).chmod(0o644)
    answer = visor("get", "/a", "--sealing-keys", keys)
    assert (answer.code, "has mode 0644" in answer.err) == (2, True)
    assert "cannot read the key file /none" in visor("get", "/a", "--sealing-keys", "/none").err
