"""A certificate speaks for one member: for the one at the host that it is made out to.

The authority says who somebody is; which member that is, the configuration says: it has each member's address, and the
host in it must be one of the certificate's alternative names (DNS, with a leading wildcard label, or IP). That is what
every dialler demands of the other side, so a certificate that can be dialled can dial; renewed ones carry the same
names. A node that is no member yet is held to the address that it says, as it can be taken in with that alone
(`joining`).

    configuration: 5f.. at n1.example:8047      certificate: DNS:n1.example      may say that it is 5f..
                                                certificate: DNS:wiki.example    may not

A certificate may also say which member it is made for, `URI:visor://CLUSTER/member/ID`: then it speaks for that one
alone, and is worth nothing once that one was removed, as ids never return. One of a user (`URI:visor:user/NAME`) speaks
for no member, whatever else it carries (`tls/identity`).

With `peers.tls_names` certificates need not carry hosts. Those that carry the host of any member are bound all the
same: to these; one that carries none of them speaks for any member, as long as it carries one of the names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from visord import addresses


def misbound(
    certificate: dict[str, Any] | None, address: str | None, others: Iterable[str], *, by_host: bool
) -> str | None:
    """Return why a certificate (as `getpeercert` gives it) does not speak for the member at `address`.

    `others`: the addresses of all members. `by_host`: it must carry the host; otherwise only if it carries another's.
    None: it does speak for it.
    """
    host = _host(address)
    if host is None:
        return None if address is None else f"{address:.100} is no address"
    carried = _hosts(certificate or {})
    if _carries(carried, host):
        return None
    if not by_host and not any(_carries(carried, one) for one in map(_host, others) if one is not None):
        return None
    shown = ", ".join(sorted(carried)[:5]) or "no host"
    return f"the certificate is made out to {shown:.200}, and this member is at {host:.100}"


def _host(address: str | None) -> str | None:
    try:
        return None if address is None else addresses.split(address)[0]
    except ValueError:
        return None


def _hosts(certificate: dict[str, Any]) -> set[str]:
    alternative: Iterable[Any] = certificate.get("subjectAltName", ())
    return {str(name) for kind, name in alternative if kind in ("DNS", "IP Address")}


def _carries(carried: set[str], host: str) -> bool:
    return any(_is(name, host) for name in carried)


def _is(name: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        label, dot, rest = host.partition(".")
        return bool(label and dot) and rest == name[2:]
    return name == host
