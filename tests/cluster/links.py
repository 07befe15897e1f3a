"""The proxy process, held: which links are cut, slow or broken. Faults add up; healing takes one of them back."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final

from tests.cluster.proxy import CLIENT, Rule
from tests.node_process import ROOT, environment

CUT: Final = Rule(hold=True)
"""Nothing passes, and nobody is told."""
BROKEN: Final = Rule(hold=True, refuse=True)
"""Nothing passes; new connections are refused."""


class Links:
    """One proxy process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.proxy"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment(),
        )
        self._faults: dict[int, dict[str, Rule]] = {}
        self._numbers = itertools.count(1)
        self.counts: dict[str, int] = {}

    def open_door(self, member: str, kind: str, listen: str, target: str) -> None:
        """Pass on what comes to `listen` (HOST:PORT) to `target`. `kind` is `peer` or `client`."""
        self._tell({"door": member, "kind": kind, "listen": listen, "target": target})

    def add(self, rules: Mapping[str, Rule], *, reset: bool = False) -> int:
        """Let links behave so until `heal(the number that is returned)`; with `reset` break what runs on them."""
        number = next(self._numbers)
        self._faults[number] = dict(rules)
        self._apply()
        if reset:
            self._tell({"reset": list(rules)})
        return number

    @property
    def bent(self) -> set[str]:
        """The links that do not behave as they should, in whatever way."""
        return {link for rules in self._faults.values() for link in rules}

    def heal(self, number: int) -> None:
        """Take back a fault."""
        if self._faults.pop(number, None) is not None:
            self._apply()

    def heal_all(self) -> None:
        """Take back all faults."""
        self._faults.clear()
        self._apply()

    def _apply(self) -> None:
        merged: dict[str, Rule] = {}
        for rules in self._faults.values():
            for link, rule in rules.items():
                merged[link] = _both(merged[link], rule) if link in merged else rule
        plain = {
            link: {"hold": rule.hold, "refuse": rule.refuse, "delay": rule.delay, "rate": rule.rate}
            for link, rule in merged.items()
        }
        self._tell({"rules": plain})

    def _tell(self, command: dict[str, Any]) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(command).encode() + b"\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"the proxy ended with {self._process.wait(5)}")
        self.counts = json.loads(answer)

    def close(self) -> None:
        """End the process. Idempotent."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process.stdout.close()

    def __enter__(self) -> Links:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _both(first: Rule, second: Rule) -> Rule:
    rates = [rate for rate in (first.rate, second.rate) if rate]
    return Rule(
        first.hold or second.hold,
        first.refuse or second.refuse,
        max(first.delay, second.delay),
        min(rates, default=0.0),
    )


def between(left: Iterable[str], right: Iterable[str]) -> list[str]:
    """Return the links in both directions between two groups."""
    pairs = [(one, other) for one in left for other in right if one != other]
    return [f"{one}>{other}" for one, other in pairs] + [f"{other}>{one}" for one, other in pairs]


def towards(source: Iterable[str], target: Iterable[str]) -> list[str]:
    """Return the links from one group to another."""
    return [f"{one}>{other}" for one in source for other in target if one != other]


def from_clients(members: Iterable[str]) -> list[str]:
    """Return the links between all clients and these members."""
    return between((CLIENT,), members)
