"""A node inside this process: the one place of `visor` that reaches for `visord`, and only when asked."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from visor._drivers.environment import gather
from visor.blocking import Client
from visor.codecs import Codec


class Node(Protocol):
    """A running node."""

    address: str

    def stop(self) -> None:
        """End it; idempotent."""


def start(
    data_dir: str | Path | None = None,
    *,
    listen: str = "127.0.0.1:0",
    settings: Mapping[str, object] | None = None,
) -> Node:
    """Start a node on a thread of this process; ModuleNotFoundError says what to install.

    `settings`: what else is set in its section `listen`.
    """
    try:
        embed = importlib.import_module("visord.embed")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a registry inside the process needs the server ({error.name} is missing): "
            "pip install 'visor-registry[server]'"
        ) from error
    node: Node = embed.start(data_dir, listen=listen, settings=settings)
    return node


@contextmanager
def embedded(root: str, codec: Codec[Any]) -> Iterator[Client[Any]]:
    """Run a node and a client of it for the block."""
    node = start()
    try:
        settings = gather(node.address, root, None, None, "", None, None, tls=False)  # it asks for no token
        with Client(settings, codec) as client:
            client.connect()
            yield client
    finally:
        node.stop()
