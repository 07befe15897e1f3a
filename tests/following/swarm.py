"""The kinds that the tests of the typed store use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import visor
from tests.following.clients import dial
from visor.store import FrozenDict, Index, Kind, Record, Store, Transaction, extension_kinds


class TaskState(IntEnum):
    """SwarmKit's: what is observed of a task only grows."""

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    RUNNING = 512
    FAILED = 704


class Role(StrEnum):
    WORKER = "worker"
    MANAGER = "manager"


@dataclass(frozen=True, kw_only=True)
class Task(Record):
    service: str = ""
    node: str | None = None
    slot: int = 0
    state: TaskState = TaskState.NEW
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Node(Record):
    name: str
    role: Role = Role.WORKER
    labels: Mapping[str, str] = FrozenDict()


TASK = Kind(
    Task,
    index=["service", "node", "slot", "state", "networks", Index("late", lambda task: [task.state >= 512])],
    grows=["state"],
)
NODE = Kind(Node, unique=["name"], index=["role", "labels"])
KINDS: list[Kind[Any]] = [TASK, NODE, *extension_kinds()]


@contextlib.contextmanager
def store_at(address: str, root: str = "/swarm") -> Iterator[Store]:
    with dial(address) as client, Store(client, root, KINDS) as store:
        yield store


@contextlib.contextmanager
def store_and_client(address: str, root: str = "/swarm") -> Iterator[tuple[Store, visor.Client[str]]]:
    with dial(address) as client, Store(client, root, KINDS) as store:
        yield store, client


def create(*records: Record) -> Callable[[Transaction], None]:
    """Return the body of a transaction that creates these."""

    def body(tx: Transaction) -> None:
        for record in records:
            tx.create(record)

    return body
