"""A registry that is closed, or within TLS, for scenarios that are about that: who there is, and what proves it.

    guard = Guard(folder, closed=True, secure=True)
    guard.settings          what members are started with
    guard.close(address)    users, roles, tokens; from here on nobody may anything without
    guard.enter()           this process shows the operator's token, and trusts the authority, in each `Wire`

The operator judges, `good` is the well-behaved client. What attackers have: a token of `victim`, which may write below
/victim; one of `viewer`, which reads; one that was taken back, one that has expired, and one of another cluster.
"""

from __future__ import annotations

import json
import os
import ssl
import time
from pathlib import Path
from typing import Any, Final

from tests.wire import Wire
from visor.protocol import tokens, verbs

GOOD: Final = "good"
BOSS: Final = "boss"
GRANTS: Final[dict[str, list[tuple[str, str]]]] = {
    GOOD: [("read", "/good"), ("write", "/good")],
    "victim": [("read", "/victim"), ("write", "/victim")],
    "viewer": [("read", "/")],
    "thief": [("read", "/thief"), ("write", "/thief")],
    "revoked": [("read", "/"), ("write", "/")],
    "expired": [("read", "/"), ("write", "/")],
}
AUDIT_BYTES: Final = 1 << 20
"""Of one member's audit afterwards, however fast somebody asked."""
PROOF: Final = "VISOR_HOSTILE_PROOF"
"""Names the file that says to a process of the suite what it shows, and whom it trusts."""


class Guard:
    """See the module. Makes what it needs in `folder`."""

    def __init__(self, folder: Path, *, closed: bool, secure: bool) -> None:
        self.closed = closed
        self.tokens: dict[str, str] = {}
        self.settings: tuple[str, ...] = ()
        self.authority = ""
        self._folder = folder
        if secure:
            self._make_authority()

    def _make_authority(self) -> None:
        from visor.testing.authority import Authority

        authority = Authority(self._folder, "clients")
        certificate, key = authority.issue("node", hosts=("127.0.0.1", "localhost"))
        authority.issue("ci", user="ci")
        Authority(self._folder, "stranger").issue("ci", user="boss")
        self.authority = str(authority.certificate)
        self.settings = (
            f"listen.tls_cert={certificate}",
            f"listen.tls_key={key}",
            f"listen.tls_client_ca={authority.certificate}",
            "listen.tls_client_cert=optional",
        )

    def enter(self) -> None:
        """Show and trust it in each connection of this process from now on."""
        show(self.tokens.get(BOSS), self.authority)

    @staticmethod
    def leave() -> None:
        """Show nothing any more."""
        show(None, "")

    def close(self, address: str) -> None:
        """Make everybody, and take everything from whoever proves nothing."""
        if not self.closed:
            return
        with Wire(address) as wire:
            for user, grants in GRANTS.items():
                rows = [[right, [verbs.SEL_TREE, path]] for right, path in grants]
                change(wire, "set_role", name=user, grants=rows)
                change(wire, "set_user", name=user, roles=[user])
            change(wire, "set_user", name=BOSS, roles=["root"])
            for user in (BOSS, *GRANTS):
                self.tokens[user] = prove(wire, user, 1 if user == "expired" else 0)
            digest = wire.call(verbs.PASSWORD, "digest", os.urandom(20).hex())
            change(wire, "set_password", name="victim", password=digest)
            change(wire, "revoke_token", id=_id(self.tokens["revoked"]))
            change(wire, "set_user", name="anonymous", roles=[])
        self.tokens["foreign"] = tokens.write(os.urandom(tokens.NUMBER), os.urandom(tokens.SECRET))
        time.sleep(0.01)

    def environment(self) -> dict[str, str]:
        """Return what makes a process of the suite the well-behaved client."""
        if not (self.tokens or self.authority):
            return {}
        file, token = self._folder / "good.json", self.tokens.get(GOOD)
        file.write_text(json.dumps({"token": token, "authority": self.authority}))
        environment = {PROOF: str(file)}
        if token is not None:
            kept = self._folder / "good.token"
            kept.touch(0o600)
            kept.write_text(token)
            environment["VISOR_TOKEN_FILE"] = str(kept)
        if self.authority:
            environment["VISOR_CACERT"] = self.authority
        return environment

    def secrets(self) -> list[bytes]:
        """Return what may stand in no log: tokens, and the letters of their secrets."""
        return [text.encode() for text in self.tokens.values()] + [
            text.rpartition("_")[2][:52].encode() for text in self.tokens.values()
        ]


def change(wire: Wire, action: str, **arguments: Any) -> None:
    """Make one change of rights."""
    wire.call(verbs.AUTH, action, arguments)


def prove(wire: Wire, user: str, ttl: int) -> str:
    """Make a token of a user; return it."""
    secret = os.urandom(tokens.SECRET)
    text = tokens.write(os.urandom(tokens.NUMBER), secret)
    change(wire, "add_token", id=_id(text), user=user, digest=tokens.digest(secret), ttl=ttl)
    return text


def _id(text: str) -> str:
    token = tokens.read(text)
    assert token is not None
    return token.id


def show(token: str | None, authority: str) -> None:
    """Have each `Wire` of this process show a token, and speak TLS with who an authority knows."""
    Wire.proof = token
    Wire.secure = ssl.create_default_context(cafile=authority) if authority else None


def show_as_told() -> None:
    """Do so as the environment says, where it does."""
    file = os.environ.get(PROOF)
    if file:
        told = json.loads(Path(file).read_text())
        show(told["token"], told["authority"])


def leaked(data: Path, log: str, secrets: list[bytes]) -> list[str]:
    """Return which files of a member hold a secret that it was shown, and whether its log does."""
    found = ["its log"] if any(secret in log.encode() for secret in secrets) else []
    for file in data.rglob("*"):
        if file.is_file() and any(secret in file.read_bytes() for secret in secrets):
            found.append(str(file.relative_to(data)))
    return found


def audited(data: Path) -> tuple[int, bytes]:
    """Return how large the audit of a member is, and what is in it of who was not let in."""
    files = sorted((data / "audit").rglob("*.log")) if (data / "audit").is_dir() else []
    contents = [file.read_bytes() for file in files]
    lines = [line for content in contents for line in content.splitlines() if b"login_failed" in line]
    return sum(map(len, contents)), b"\n".join(lines)
