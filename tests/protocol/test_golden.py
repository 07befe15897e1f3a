"""The bytes of every message, pinned: another implementation can be written from `golden.txt`.

A line is `name <tab> message as a Python literal <tab> bytes in hex`. After a deliberate change of the protocol,
`VISOR_REWRITE_GOLDEN=1 pytest tests/protocol/test_golden.py` writes the bytes anew; the diff is then the review.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from visor.protocol import verbs
from visor.protocol.frames import Decoder, encode

FILE = Path(__file__).with_name("golden.txt")


def rows() -> list[tuple[str, list, str]]:
    lines = [line.split("\t") for line in FILE.read_text().splitlines() if line and not line.startswith("#")]
    return [(name, ast.literal_eval(message), hexed) for name, message, hexed in lines]


if os.environ.get("VISOR_REWRITE_GOLDEN"):
    FILE.write_text(
        "# name\tmessage\tbytes\n"
        + "".join(f"{name}\t{message!r}\t{encode(message).hex()}\n" for name, message, _ in rows())
    )


@pytest.mark.parametrize(("name", "message", "hexed"), rows(), ids=[row[0] for row in rows()])
def test_the_bytes_of_a_message_never_change(name: str, message: list, hexed: str) -> None:
    assert encode(message).hex() == hexed
    assert Decoder(1 << 20).feed(bytes.fromhex(hexed)) == [message]


def test_every_verb_and_kind_is_pinned() -> None:
    not_verbs = ("VERSION", "WRITES", "FIRST_WRITE", "LAST_WRITE", "ALL_KINDS", "LINEARIZABLE", "STALE")
    named = {
        name: number
        for name, number in vars(verbs).items()
        if name.isupper() and name not in not_verbs and not name.startswith(("G_", "T_", "SEL_", "N_", "W_"))
    }
    change_kinds = {verbs.CREATE, verbs.UPDATE, verbs.REMOVE, verbs.EXPIRE}
    numbers = {
        number for name, number in named.items() if name not in ("CREATE", "UPDATE", "REMOVE", "EXPIRE")
    }
    assert numbers <= {message[0] for _, message, _ in rows()}
    pinned_kinds = {
        change[0]
        for _, message, _ in rows()
        if message[0] == verbs.COMMITS
        for commit in message[2]
        for change in commit[4]
    }
    assert pinned_kinds == change_kinds
