"""The network between members and from clients as network namespaces: packets are really lost, as on a cut cable.

A member has a namespace with one end of a pair of virtual interfaces; the other end hangs on a bridge, where clients
are. `a>b` is cut in b's namespace, which drops what comes from a: nobody is told. TCP suffers in both directions,
because acknowledgements are packets too. The proxy's delays and rates are not to be had; what should refuse only drops.

    bridge 10.77.N.254 (clients) --- 10.77.N.1 (n1)    the same at 10.78.N.*: never cut, for tests
                                 --- 10.77.N.2 (n2)
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.cluster.proxy import CLIENT, Rule

PREFIX: Final = "visor"
NAMES: Final = re.compile(rf"{PREFIX}-(\d+)-")
CLIENT_PORT: Final = 8046
PEER_PORT: Final = 8047
BRIDGE: Final = 254
INNER: Final = "eth0"


class NoNamespacesError(Exception):
    """Network namespaces cannot be made here; the text says why."""


def ip(*words: str, namespace: str | None = None) -> None:
    """Run `ip`. Raises `NoNamespacesError` with what it says."""
    inside = ["-n", namespace] if namespace is not None else []
    try:
        done = subprocess.run(["ip", *inside, *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoNamespacesError("there is no `ip`") from None
    if done.returncode:
        raise NoNamespacesError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Namespaces:
    """See the module. The same face as `links.Links`. Raises `NoNamespacesError`."""

    def __init__(self) -> None:
        self._cut: set[str] = set()
        if os.geteuid():
            raise NoNamespacesError("network namespaces take root")
        _sweep()
        self._id = os.getpid()
        self._net = self._id % 250
        self._bridge = f"vb{self._id}"
        self._numbers: dict[str, int] = {CLIENT: BRIDGE}
        self._count = itertools.count(1)
        self._faults: dict[int, set[str]] = {}
        self._fault_numbers = itertools.count(1)
        self.counts: dict[str, int] = {}
        try:
            ip("link", "add", self._bridge, "type", "bridge")
            for net in (77, 78):
                ip("addr", "add", f"10.{net}.{self._net}.{BRIDGE}/24", "dev", self._bridge)
            ip("link", "set", self._bridge, "up")
        except BaseException:
            self.close()
            raise

    def add_member(self, name: str) -> None:
        """Make a member's namespace."""
        number = next(self._count)
        self._numbers[name] = number
        space, outer = self.namespace(name), f"v{self._id}x{number}"
        ip("netns", "add", space)
        ip("link", "add", outer, "type", "veth", "peer", "name", INNER, "netns", space)
        ip("link", "set", outer, "master", self._bridge, "up")
        for net in (77, 78):
            ip("addr", "add", f"10.{net}.{self._net}.{number}/24", "dev", INNER, namespace=space)
        for device in ("lo", INNER):
            ip("link", "set", device, "up", namespace=space)
        # The local table is asked first by default: then no rule could drop what comes in.
        ip("rule", "add", "pref", "100", "lookup", "local", namespace=space)
        ip("rule", "del", "pref", "0", namespace=space)

    def namespace(self, name: str) -> str:
        """Return the name of a member's namespace."""
        return f"{PREFIX}-{self._id}-{name}"

    def host(self, name: str, *, control: bool = False) -> str:
        """Return the address of a member: the one that can be cut, or the one of the tests."""
        return f"10.{78 if control else 77}.{self._net}.{self._numbers[name]}"

    # -- faults -----------------------------------------------------------------------------------------------

    def add(self, rules: Mapping[str, Rule], *, reset: bool = False) -> int:
        """Lose the packets of links whose rule holds them, until `heal(the number that is returned)`."""
        number = next(self._fault_numbers)
        self._faults[number] = {link for link, rule in rules.items() if rule.hold}
        self._apply()
        return number

    @property
    def bent(self) -> set[str]:
        """The links that packets are lost on."""
        links = {link for links in self._faults.values() for link in links}
        return links | {">".join(reversed(link.split(">"))) for link in links}

    def heal(self, number: int) -> None:
        """Take back a fault."""
        self._faults.pop(number, None)
        self._apply()

    def heal_all(self) -> None:
        """Take back all faults."""
        self._faults.clear()
        self._apply()

    def _apply(self) -> None:
        wanted = {link for links in self._faults.values() for link in links if self._exists(link)}
        for link in self._cut - wanted:
            self._switch(link, "del")
        for link in wanted - self._cut:
            self._switch(link, "add")
        self._cut = wanted

    def _exists(self, link: str) -> bool:
        return all(end in self._numbers for end in link.split(">"))

    def _switch(self, link: str, verb: str) -> None:
        source, target = link.split(">")
        with contextlib.suppress(NoNamespacesError):  # the namespace went with its member
            if target == CLIENT:  # clients share the machine's own namespace, which is left alone
                ip("route", verb, "blackhole", f"{self.host(CLIENT)}/32", namespace=self.namespace(source))
            else:
                rule = ("pref", "10", "iif", INNER, "from", f"{self.host(source)}/32", "blackhole")
                ip("rule", verb, *rule, namespace=self.namespace(target))

    def close(self) -> None:
        """Take everything away. Idempotent."""
        self.heal_all()
        for name in [name for name in self._numbers if name != CLIENT]:
            with contextlib.suppress(NoNamespacesError):
                ip("netns", "del", self.namespace(name))
        self._numbers = {CLIENT: BRIDGE}
        with contextlib.suppress(NoNamespacesError):
            ip("link", "del", self._bridge)

    def __enter__(self) -> Namespaces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _sweep() -> None:
    """Remove what tests left that were killed."""
    folder = Path("/run/netns")
    for space in folder.iterdir() if folder.is_dir() else ():
        found = NAMES.match(space.name)
        if found is not None and not Path(f"/proc/{found[1]}").exists():
            with contextlib.suppress(NoNamespacesError):
                ip("netns", "del", space.name)
            with contextlib.suppress(NoNamespacesError):
                ip("link", "del", f"vb{found[1]}")
