"""What stands where pysyncobj's module expects things that must not run here: pickle, dumps, DNS, its transport."""

# ruff: noqa: N802 - the names are pysyncobj's

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pysyncobj.transport import Transport

from visord.peers import messages as msg
from visord.raft.core.timing import Random
from visord.raft.log import RaftLog


class _NoPickle:
    """Stands where pysyncobj's module expects `pickle`."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"pickle.{name} is not used by visord")


class _NoSerializer:
    """Stands where pysyncobj expects its dump writer: checkpoints are not its business."""

    def __init__(self, *_: object) -> None:
        pass

    def cancelTransmisstion(self, _: object) -> None:
        pass

    def getTransmissionData(self, _: object) -> None:
        return None


class _NoResolver:
    """Stands where pysyncobj expects its name resolver."""

    def setTimeouts(self, *_: object) -> None:
        pass

    def setPreferredAddrFamily(self, *_: object) -> None:
        pass


class Answers(Transport):  # type: ignore[misc]
    """pysyncobj's way out: of all that it sends by itself, only the answer to a vote request is left."""

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.answer: Callable[[Any, list[Any]], bool] = lambda node, message: False

    def send(self, node: Any, message: dict[str, Any]) -> bool:
        if message["type"] != "response_vote":
            raise RuntimeError(f"pysyncobj sends {message['type']!r} by itself")
        return self.answer(node, [msg.VOTED, message["term"]])

    def addNode(self, node: object) -> None:
        pass

    def dropNode(self, node: object) -> None:
        pass

    def destroy(self) -> None:
        pass


def private_copy(log: RaftLog, clock: Callable[[], float], random: Random) -> ModuleType:
    """Return a copy of pysyncobj's module of its own, with these in the place of its clock, dice and journal."""
    spec = importlib.util.find_spec("pysyncobj.syncobj")
    if spec is None or spec.loader is None:
        raise ImportError("pysyncobj is not installed; pip install 'visor-registry[server]'")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names: dict[str, Any] = {
        "monotonicTime": clock,
        "random": random,
        "createJournal": lambda _: log,
        "pickle": _NoPickle(),
        "Serializer": _NoSerializer,
        "createPoller": lambda _: None,
        "globalDnsResolver": _NoResolver,
        "PIPE_NOTIFIER_ENABLED": False,
    }
    for name, value in names.items():
        if not hasattr(module, name):
            raise ImportError(f"pysyncobj.syncobj has no {name} any more: this release is not supported")
        setattr(module, name, value)
    return module
