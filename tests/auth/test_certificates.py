"""A client certificate proves a user, where the registry knows that user; a token goes before it."""

from __future__ import annotations

import hashlib
import ssl
from typing import Any

import pytest

from tests.tls.conftest import Authority, Dial, Files, authority, dial, secure_node, server_files
from tests.wire import Closed, Refused
from visor.protocol import tokens, verbs

__all__ = ["authority", "dial", "server_files"]
SECRET = b"s" * 32
TOKEN = tokens.write(b"laptop", SECRET)


def user_of(wire: Any) -> tuple[str, str]:
    told = wire.call(verbs.ACCESS, "whoami")[1]
    return told["user"], told["credential"]


def change(wire: Any, action: str, **arguments: Any) -> None:
    wire.call(verbs.AUTH, action, arguments)


def test_who_a_certificate_is_made_out_to(authority: Authority, server_files: Files, dial: Dial) -> None:
    ci, ada = authority.issue("ci", user="ci"), authority.issue("ada", user="ada")
    nobody, anonymous = authority.issue("nobody"), authority.issue("anonymous", user="anonymous")
    with secure_node(server_files, client_ca=authority.certificate, client_cert="optional") as node:
        wire = dial(node.address)
        assert user_of(dial(node.address, ci)) == ("anonymous", "")  # the registry does not know it yet
        change(wire, "set_user", name="ada", roles=["root"])
        change(wire, "set_user", name="ci", roles=[])
        token = tokens.read(TOKEN)
        assert token is not None
        change(wire, "add_token", id=token.id, user="ada", digest=tokens.digest(SECRET))
        change(wire, "set_user", name="anonymous", roles=[])
        user, credential = user_of(dial(node.address, ci))
        assert user == "ci"
        assert credential.startswith("cert:") and len(credential) == 21
        for files in (nobody, anonymous, None):
            assert user_of(dial(node.address, files)) == ("anonymous", "")
        assert user_of(dial(node.address, ci, hello={"token": TOKEN})) == ("ada", token.id)
        dial(node.address, ada).call(verbs.SET, "/a", b"1")
        with pytest.raises(Refused) as refused:
            dial(node.address, ci).call(verbs.SET, "/a", b"2")
        assert refused.value.code == "denied"


def test_what_a_deleted_user_had_begun_ends(authority: Authority, server_files: Files, dial: Dial) -> None:
    ci = authority.issue("ci", user="ci")
    with secure_node(server_files, client_ca=authority.certificate, client_cert="optional") as node:
        boss = dial(node.address)
        change(boss, "set_role", name="writer", grants=[["write", [verbs.SEL_TREE, "/"]]])
        change(boss, "set_user", name="ci", roles=["writer"])
        wire = dial(node.address, ci)
        wire.call(verbs.SET, "/a", b"1")
        change(boss, "delete_user", name="ci")
        with pytest.raises(
            Refused
        ) as refused:  # although everybody may: what it came with proves nothing any more
            wire.call(verbs.SET, "/a", b"2")
        assert refused.value.code == "denied"
        assert boss.call(verbs.GET, "/a")[1][1] == b"1"


def test_a_certificate_that_is_taken_back_is_sent_away_and_its_owner_stays(
    authority: Authority, server_files: Files, dial: Dial
) -> None:
    lost, other = authority.issue("lost", user="ci"), authority.issue("other", user="ci")
    with secure_node(server_files, client_ca=authority.certificate, client_cert="optional") as node:
        boss = dial(node.address)
        change(boss, "set_role", name="writer", grants=[["write", [verbs.SEL_TREE, "/"]]])
        change(boss, "set_user", name="ci", roles=["writer"])
        wire, kept = dial(node.address, lost), dial(node.address, other)
        wire.call(verbs.SET, "/a", b"1")
        change(boss, "revoke_certificate", fingerprint=fingerprint(lost), purpose="left in a train")
        with pytest.raises(Closed):
            wire.call(verbs.SET, "/a", b"2")
        with pytest.raises(Closed):
            dial(node.address, lost)
        kept.call(verbs.SET, "/b", b"1")
        (row,) = boss.call(verbs.ACCESS, "revoked")[1]
        assert (row[0], row[2]) == (fingerprint(lost), "left in a train")
        change(boss, "allow_certificate", fingerprint=fingerprint(lost))
        assert user_of(dial(node.address, lost))[0] == "ci"


def fingerprint(files: Files) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(files[0].read_text())).hexdigest()
