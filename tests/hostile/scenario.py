"""What a scenario is, and the list of all of them.

    @scenario("idle", "S13", kept=40)
    def idle(field: Field) -> None:
        \"\"\"Ten thousand idle connections of one address.\"\"\"

The function attacks until `field` says that time is up; it runs in a process of its own. Modules that define scenarios
are named in `MODULES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.hostile.field import Field

Attack = Callable[[Field], None]

MODULES: Final = ("door", "costs", "growth", "members", "words", "proofs")
PEAK_MIB: Final = 384
"""MiB beyond its baseline that one member may hold while it is attacked: the budgets of all connections together."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One attack. See `README.md` for what each shows."""

    name: str
    rows: str
    """Rows of the security review that it is about."""
    attack: Attack
    about: str
    prepare: Attack | None = None
    """What is written before anything is measured."""
    settings: tuple[str, ...] = ()
    seconds: float = 4.0
    kept: int = 0
    """MiB that a member may rightly keep: bounded state that the attack may fill (outcomes, leases, files)."""
    peak: int = PEAK_MIB
    nofile: int = 0
    """Limit of descriptors of each member; 0: as it comes."""
    sizes: tuple[int, ...] = (1, 3)
    """Numbers of members that it makes sense for."""
    tls: bool = False
    """Members have certificates."""
    http: bool = False
    """Members listen for HTTP."""
    secure: bool = False
    """Clients speak TLS with members."""
    closed: bool = False
    """Nobody may do anything without a token."""
    audited: bool = False
    """Who was not let in has to stand in the audit afterwards."""
    by_right: tuple[str, ...] = ()
    """What may happen to the good client, because attackers do what all may do, or because it is meant for all."""
    quota: bool = False
    """It needs the setting storage.state_bytes."""


SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(name: str, rows: str, **more: object) -> Callable[[Attack], Attack]:
    """Register an attack; its docstring says what it does."""

    def register(attack: Attack) -> Attack:
        about = " ".join((attack.__doc__ or "").split())
        SCENARIOS[name] = Scenario(name, rows, attack, about, **more)  # type: ignore[arg-type]
        return attack

    return register


def load() -> dict[str, Scenario]:
    """Return all scenarios by name, in their order."""
    for module in MODULES:
        importlib.import_module(f"tests.hostile.{module}")
    return SCENARIOS
