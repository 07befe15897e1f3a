"""Sealed values: they come back to who has the key, and to nobody else, whatever was done to their bytes."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor import codecs, errors, guard, op
from visor._core.requests import txn_message
from visor._core.root import Root
from visor._core.sealing import MARK, MOST_KEYS, MOST_PURPOSE, NONCE, Keyring, read_seal
from visor.values import decode

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW, OTHER = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))

secrets = st.binary(min_size=32, max_size=32)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True)
keys = st.dictionaries(ids, secrets, min_size=1, max_size=5)
purposes = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(st.binary(), keys, purposes)
def test_what_is_sealed_comes_back(value: bytes, keys: dict[str, bytes], purpose: str) -> None:
    codec = codecs.sealed(keys).at(purpose)
    data = codec.encode(value)
    assert codec.decode(data) == value
    assert len(data) == len(value) + 39 + len(next(iter(keys))) + len(purpose.encode())
    assert read_seal(data).key_id == next(iter(keys))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers())
def test_any_codec_can_be_sealed(text: str, number: int) -> None:
    assert (each := codecs.sealed(NEW, codecs.TEXT)).decode(each.encode(text)) == text
    assert (each_int := codecs.sealed(NEW, codecs.INT)).decode(each_int.encode(number)) == number
    assert (document := codecs.sealed(NEW, codecs.JSON)).decode(document.encode([text])) == [text]


def test_every_bit_is_guarded() -> None:
    codec = codecs.sealed({"new": NEW, "old": OLD}, codecs.TEXT).at("/shop/db")
    data = codec.encode("a password")
    for place in range(8 * len(data)):
        broken = bytearray(data)
        broken[place // 8] ^= 1 << place % 8
        with pytest.raises(codecs.SealError):
            codec.decode(bytes(broken))


def test_what_stands_in_front_is_guarded_even_where_it_reads_well() -> None:
    """Swapping ids of two known keys or the purpose gives bytes that can be read, and must not open."""
    ring = Keyring({"new": NEW, "old": OLD}, os.urandom)
    data = ring.seal(b"value", "/a")
    for before, after in ((b"new", b"old"), (b"/a", b"/b")):
        with pytest.raises(codecs.SealError, match="the seal is broken"):
            ring.open(data.replace(before, after), None)


@given(st.integers(0, 80))
def test_what_is_cut_short_is_no_value(length: int) -> None:
    data = codecs.sealed({"k": NEW}).at("/a").encode(b"0123456789")
    for cut in (data[: min(length, len(data) - 1)], data + b"\0" * (length + 1)):
        with pytest.raises(codecs.SealError):
            codecs.sealed({"k": NEW}).at("/a").decode(cut)


@given(st.binary())
def test_any_bytes_are_refused_with_a_seal_error(data: bytes) -> None:
    for each in (data, MARK + data, MARK + b"\1" + data):
        with pytest.raises(codecs.SealError):
            codecs.sealed(NEW).decode(each)


def test_a_value_of_another_format_asks_for_a_newer_version() -> None:
    with pytest.raises(codecs.SealError, match="format 2, and this version reads format 1"):
        codecs.sealed(NEW).decode(MARK + b"\2" + bytes(60))


@given(st.binary())
def test_no_other_codec_reads_a_sealed_value(value: bytes) -> None:
    """Who forgets the key sees an error, never something that looks like a value."""
    data = codecs.sealed(NEW).encode(value)
    others: list[codecs.Codec[object]] = [codecs.TEXT, codecs.INT, codecs.LIST, codecs.INTS]  # type: ignore[list-item]
    for codec in (*others, codecs.JSON, codecs.MSGPACK):
        with pytest.raises(errors.DecodeError):
            decode(codec, data, "/a")


def test_keys_are_changed_without_a_pause() -> None:
    before = codecs.sealed({"2025": OLD}, codecs.TEXT)
    both = codecs.sealed({"2026": NEW, "2025": OLD}, codecs.TEXT)
    after = codecs.sealed({"2026": NEW}, codecs.TEXT)
    assert both.decode(before.encode("value")) == "value"
    assert after.decode(both.encode("value")) == "value"
    with pytest.raises(
        codecs.SealError, match=r"sealed with key 2025, which is not here \(here: 2026\)"
    ) as told:
        after.decode(before.encode("value"))
    assert told.value.key_id == "2025"
    assert both.key_ids == ("2026", "2025")


def test_keys_without_ids_are_told_apart_as_well() -> None:
    both = codecs.sealed([NEW, OLD])
    assert both.decode(codecs.sealed(OLD).encode(b"value")) == b"value"
    with pytest.raises(codecs.SealError, match="which is not here"):
        codecs.sealed(OLD).decode(both.encode(b"value"))


def test_another_key_under_the_same_id_opens_nothing() -> None:
    with pytest.raises(codecs.SealError, match="another key has the id k"):
        codecs.sealed({"k": OTHER}).decode(codecs.sealed({"k": NEW}).encode(b"value"))


def test_a_value_that_was_moved_is_refused() -> None:
    codec = codecs.sealed(NEW)
    data = codec.at("/shop/db").encode(b"value")
    with pytest.raises(codecs.SealError, match="sealed for '/shop/db', not for '/shop/web'"):
        codec.at("/shop/web").decode(data)
    with pytest.raises(codecs.SealError, match=r"open it with sealed\(...\).at\('/shop/db'\)"):
        codec.decode(data)
    with pytest.raises(codecs.SealError, match="sealed for nothing in particular"):
        codec.at("/shop/db").decode(codec.encode(b"value"))


def test_equal_values_have_different_bytes() -> None:
    codec = codecs.sealed(NEW)
    assert len({codec.encode(b"value") for _ in range(1000)}) == 1000


def test_each_value_has_a_nonce_of_its_own_from_the_system() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return len(asked).to_bytes(size, "big")

    ring = Keyring({"k": NEW}, random)
    nonces = [read_seal(ring.seal(b"value", "")).nonce for _ in range(3)]
    assert asked == [NONCE] * 3
    assert nonces == [count.to_bytes(NONCE, "big") for count in (1, 2, 3)]


WRONG: list[tuple[object, type[Exception], str]] = [
    (b"", ValueError, "a key must be 32 bytes .AES-256., not 0"),
    (NEW[:16], ValueError, "a key must be 32 bytes .AES-256., not 16"),
    (NEW + b"\n", ValueError, "not 33"),
    (NEW.decode(), TypeError, "not str"),
    (bytearray(NEW), TypeError, "not bytearray"),
    (None, TypeError, "not NoneType"),
    ([], ValueError, "from 1 to 64 keys are expected, not 0"),
    ({}, ValueError, "from 1 to 64 keys are expected, not 0"),
    ([NEW, NEW], ValueError, "the same key is given twice"),
    ([NEW, OLD[:31]], ValueError, "not 31"),
    ({"new": OLD[:24]}, ValueError, "key 'new' must be 32 bytes"),
    ({"new": NEW.decode()}, TypeError, "key 'new' must be 32 bytes, not str"),
    ({NEW: NEW}, TypeError, "the id of a key must be text, not bytes"),
    ({NEW.decode(): NEW}, ValueError, "one of 32 characters is not"),
    ({"": NEW}, ValueError, "one of 0 characters"),
    ({"a b": NEW}, ValueError, "one of 3 characters"),
    ({"x" * 33: NEW}, ValueError, "one of 33 characters"),
    ({f"k{n}": bytes([n]) * 32 for n in range(MOST_KEYS + 1)}, ValueError, "not 65"),
]


@pytest.mark.parametrize(("given_keys", "kind", "said"), WRONG)
def test_keys_that_are_none_are_refused_and_never_shown(
    given_keys: object, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as told:
        codecs.sealed(given_keys)  # type: ignore[call-overload]
    assert NEW.decode() not in str(told.value)
    assert NEW.hex() not in str(told.value)


def test_what_a_value_is_sealed_for_is_bounded_text() -> None:
    with pytest.raises(ValueError, match="at most 1024 bytes, not 1025"):
        codecs.sealed(NEW).at("x" * (MOST_PURPOSE + 1))
    with pytest.raises(TypeError, match="must be text, as a path is, not bytes"):
        codecs.sealed(NEW).at(b"/a")  # type: ignore[arg-type]


SHOWN: list[Callable[[object], str]] = [
    repr,
    str,
    lambda each: repr(pickle.dumps(each)),
    lambda each: repr(dir(each)),
]


@pytest.mark.parametrize("shown", SHOWN)
def test_no_key_is_shown(shown: Callable[[object], str]) -> None:
    key = b"a key of thirty-two bytes, no more"[:32]
    codec = codecs.sealed({"new": key}, codecs.JSON).at("/a")
    for form in (key.decode(), key.hex(), repr(key)):
        assert form not in shown(codec)


def test_a_codec_that_travelled_opens_nothing_and_says_so() -> None:
    codec = codecs.sealed({"new": NEW}, codecs.TEXT).at("/a")
    arrived = pickle.loads(pickle.dumps(codec))
    assert repr(arrived) == repr(codec)
    with pytest.raises(codecs.SealError, match="keys do not travel: sealed with new"):
        arrived.decode(codec.encode("value"))
    assert copy.deepcopy(codec).decode(copy.copy(codec).encode("value")) == "value"


def test_a_seal_error_can_travel() -> None:
    error = pickle.loads(pickle.dumps(codecs.SealError("why", "new")))
    assert (str(error), error.key_id) == ("why", "new")


def test_what_a_reader_is_told_names_the_path_and_the_key() -> None:
    with pytest.raises(
        errors.DecodeError, match=r"^/shop/db: sealed with key old, which is not here"
    ) as told:
        decode(codecs.sealed({"new": NEW}), codecs.sealed({"old": OLD}).encode(b""), "/shop/db")
    assert isinstance(told.value.__cause__, codecs.SealError)


def test_a_guard_on_the_value_is_refused_as_it_would_never_hold() -> None:
    codec = codecs.sealed(NEW, codecs.TEXT)
    with pytest.raises(ValueError, match=r"use guard\.rev"):
        txn_message(Root(), {"/a": guard.value("up")}, [op.set("/a", "down")], [], codec, None)
    txn_message(Root(), {"/a": guard.data(b"up")}, [op.set("/a", "down")], [], codec, None)


def test_without_the_package_the_extra_is_named_and_nothing_else_needs_it() -> None:
    code = """
import sys, json
sys.modules["cryptography"] = None
import visor, visor.aio
from visor import codecs
visor.dial, codecs.JSON
try:
    codecs.sealed(bytes(32))
except ImportError as error:
    print(json.dumps([str(error), error.name]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    said, name = json.loads(done.stdout)
    assert "pip install 'visor-registry[sealed]'" in said
    assert name == "cryptography"


def test_nothing_of_it_is_loaded_before_it_is_used() -> None:
    code = "import sys, visor, visor.codecs; print([name for name in sys.modules if 'cryptography' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def write_keys(file: Path, text: str, mode: int = 0o600) -> str:
    file.write_text(text)
    file.chmod(mode)
    return str(file)


def test_keys_are_read_from_a_file_in_its_order(tmp_path: Path) -> None:
    file = write_keys(tmp_path / "keys", f"# ours\n2026 {NEW.hex()}\n\n 2025\t{OLD.hex().upper()} \n")
    assert list(codecs.read_keys(file).items()) == [("2026", NEW), ("2025", OLD)]


FILES = [
    ("", "has no keys"),
    ("# nothing\n", "has no keys"),
    (NEW.hex(), "line 1 of the key file .* is not an id, a space and 64 hex digits"),
    (f"a {NEW.hex()[:-2]}", "line 1 "),
    (f"\na {NEW.hex()} b", "line 2 "),
    (f"a {NEW.hex()}\na {OLD.hex()}", "line 2 of .*: there is a key 'a' already"),
    (f"a/b {NEW.hex()}", "line 1 of .*: the id of a key must be"),
    (f"{NEW.hex()} a", "line 1 "),
    (f"a {'g' * 64}", "line 1 "),
    ("x" * 20_000, "over 16 KiB"),
]


@pytest.mark.parametrize(("text", "said"), FILES)
def test_a_file_that_holds_no_keys_is_refused_and_not_told(tmp_path: Path, text: str, said: str) -> None:
    file = write_keys(tmp_path / "keys", text)
    with pytest.raises(ValueError, match=said) as told:
        codecs.read_keys(file)
    assert NEW.hex() not in str(told.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o700])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = write_keys(tmp_path / "keys", f"a {NEW.hex()}", mode)
    with pytest.raises(ValueError, match=f"the key file .* has mode {mode:04o}, so others may use the key"):
        codecs.read_keys(file)


def test_a_place_without_a_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        codecs.read_keys(os.fspath(tmp_path / "none"))
    with pytest.raises(ValueError, match="is not a plain file"):
        codecs.read_keys(os.fspath(tmp_path))
