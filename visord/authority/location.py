"""Where a member is, as its operator says it, and the settings that follow from it.

locate("n1", "10.0.0.1:8046", None, ["n1.example"])      peers at 10.0.0.1:8047, certificate for both hosts
settings_text(where, "/var/lib/visord", files)          what goes into visord.toml
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from visor._core.harmless import json_text
from visord import addresses
from visord.authority.authority_files import AuthorityFiles
from visord.authority.issuing import all_hosts
from visord.naming import not_a_name, not_an_address

SETTINGS: Final = "visord.toml"
"""The settings in a data directory, which `visord serve --data-dir` reads."""
WILDCARDS: Final = ("0.0.0.0", "::")


class BeginningError(Exception):
    """A member cannot begin as was asked; the text says why. `passes`: the same may succeed in a while."""

    def __init__(self, text: str, *, passes: bool = False) -> None:
        super().__init__(text)
        self.passes = passes


class Location(NamedTuple):
    """Where a member is: its name and addresses, and the hosts that its certificate is made out to."""

    name: str
    client: str
    """HOST:PORT where it listens for clients; what they are told is `client_told`."""
    peer: str
    client_told: str
    peer_told: str
    hosts: tuple[str, ...]


def locate(name: str, client: str, peer: str | None, hosts: Sequence[str]) -> Location:
    """Return where a member is. `peer` None: at the client's host, one port higher. Raises `BeginningError`.

    A certificate is made out to what others dial: `hosts`, and the hosts that are listened on. Who listens on all
    addresses (0.0.0.0) has to say at which host others find it: the first of `hosts`.
    """
    wrong = not_a_name(name)
    if wrong is not None:
        raise BeginningError(f"--name {name!r:.100}: {wrong}")
    host, port = _split("--listen", client)
    peer = addresses.join(host, port + 1) if peer is None else peer
    told = [
        _told(option, address, hosts) for option, address in (("--listen", client), ("--peer-listen", peer))
    ]
    if told[0] == told[1]:
        raise BeginningError(
            f"--listen and --peer-listen are both {client}: clients and members need a port each"
        )
    try:
        found = all_hosts([*hosts, *(addresses.split(one)[0] for one in told)])
    except ValueError as error:
        raise BeginningError(f"--host: {error}") from error
    return Location(name, client, peer, told[0], told[1], found)


def _split(option: str, address: str) -> tuple[str, int]:
    try:
        return addresses.split(address)
    except ValueError as error:
        raise BeginningError(f"{option}: {error}") from error


def _told(option: str, address: str, hosts: Sequence[str]) -> str:
    """Return what others are told of where a member listens."""
    host, port = _split(option, address)
    if host in WILDCARDS:
        if not hosts:
            raise BeginningError(
                f"{option} {address} is every address of this machine: say with --host how others call it"
            )
        host = hosts[0]
    told = addresses.join(host, port)
    wrong = not_an_address(told)
    if wrong is not None:
        raise BeginningError(f"{option} {address}: {wrong}")
    return told


def settings_text(
    where: Location, path: str, files: AuthorityFiles, joins: Sequence[str] = (), *, learner: bool = False
) -> str:
    """Return the settings (TOML) with which a member in the directory `path` just runs."""
    member, authority = files.member, files.certificate
    sections: dict[str, dict[str, object]] = {
        "node": {"name": where.name, "data_dir": path},
        "listen": {
            "client": where.client,
            "advertise": where.client_told,
            "tls_cert": member,
            "tls_key": member,
            "tls_client_ca": authority,
            "tls_client_cert": "optional",
        },
        "peers": {
            "listen": where.peer,
            "advertise": where.peer_told,
            "tls_cert": member,
            "tls_key": member,
            "tls_ca": authority,
        },
    }
    if joins:
        sections["peers"] |= {"join": list(joins), "learner": learner}
    lines = [
        "# What `visord serve --data-dir` reads; `visord config show --config FILE` tells what each means."
    ]
    for section, values in sections.items():
        lines += ["", f"[{section}]", *(f"{key} = {json_text(value)}" for key, value in values.items())]
    return "\n".join([*lines, ""])
