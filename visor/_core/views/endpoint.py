"""Endpoints: where a service listens and what it says of itself; and what a locator has found."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from visor import paths
from visor._core.dataclass import dataclass
from visor._core.public import public
from visor._core.store.record import FrozenDict
from visor._core.views.partition import HashRange, Partition
from visor.codecs import JSON

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address, with what is announced of it; equal when all of it is."""

    host: str
    port: int | None
    """None for a server that has none; see `address`."""
    network: str = "tcp"
    features: int = 0
    """Bit flags of the user's own enum."""
    partition: Partition | None = None
    annotations: Mapping[str, str] = field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        if type(self.annotations) is not FrozenDict:
            object.__setattr__(self, "annotations", FrozenDict(self.annotations))

    @property
    def host_port(self) -> str:
        """HOST:PORT, with brackets around an IPv6 address; ValueError without a port."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as `socket.create_connection` takes them; ValueError without a port.

        `port` is None only of what was announced without one: who connects needs this and no case for None.
        """
        if self.port is None:
            raise ValueError(f"{self.host} has no port")
        return self.host, self.port

    @property
    def id(self) -> str:
        """What tells servers apart: HOST:PORT, or the host where there is no port."""
        return self.host if self.port is None else self.host_port

    def __str__(self) -> str:
        return f"{self.network}://{self.id}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a locator knows: version 0 is nothing yet, then it grows with every change."""

    version: int = 0
    endpoints: tuple[Endpoint, ...] = ()
    problems: Mapping[str, str] = field(default_factory=FrozenDict)
    """Announcements that cannot be read: id and why."""


_HOST: Final = re.compile(r"[^\s\x00-\x20\x7f/@\[\]?#\"'<>\\^`{|},;]{1,255}").fullmatch


def wrong(endpoint: Endpoint) -> str | None:
    """Return why nobody could use the endpoint, or None: the same for who announces it and for who reads it."""
    host, port, network = endpoint.host, endpoint.port, endpoint.network
    if type(network) is not str or not network.isprintable() or not network:
        return f"the network of an endpoint is a word (tcp, udp, unix), not {network!r}"
    if type(host) is not str or not host:
        return f"the host of an endpoint is a name or an address, not {host!r}"
    if not network.startswith("unix") and not _is_host(host):
        return f"{host!r} is neither the name of a host nor an IP address"
    if port is not None and (type(port) is not int or not 0 < port < 65536):
        return f"{port!r} is no port: a port is a whole number from 1 to 65535, or None"
    return _wrong_details(endpoint)


def _is_host(host: str) -> bool:
    if _HOST(host) is None or not host.isprintable():
        return False
    if ":" not in host:
        return True
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _wrong_details(endpoint: Endpoint) -> str | None:
    features, partition = endpoint.features, endpoint.partition
    if type(features) is not int or features < 0:
        return f"the features of an endpoint are bits, a whole number of 0 or more, not {features!r}"
    if partition is not None and (type(partition) is not Partition or type(partition.space) is not str):
        return f"the partition of an endpoint is a visor.views.Partition, not {partition!r}"
    for key, value in endpoint.annotations.items():
        if type(key) is not str or type(value) is not str:
            return f"annotations of an endpoint are text for text, not {key!r}: {value!r}"
    return None


def file_name(id: str) -> str:
    """Return the component of a path that stands for a server."""
    name = "".join(
        char if paths.check(f"/{char}x") is None and char not in "%/" else _hex(char) for char in id
    )
    if not name or paths.check(f"/{name}") is not None:
        raise ValueError(f"{id!r} cannot be announced: {paths.check('/' + name) or 'it is empty'}")
    return name


def _hex(char: str) -> str:
    return "".join(f"%{byte:02x}" for byte in char.encode())


def encode(endpoint: Endpoint) -> bytes:
    """Return what is announced."""
    partition = endpoint.partition
    return JSON.encode(
        {
            "format": FORMAT,
            "network": endpoint.network,
            "host": endpoint.host,
            "port": endpoint.port,
            "features": int(endpoint.features),
            "partition": None
            if partition is None
            else {"space": partition.space, "first": partition.range.first, "last": partition.range.last},
            "annotations": dict(endpoint.annotations),
        }
    )


def decode(data: bytes) -> Endpoint:
    """Return what was announced; ValueError when it is nothing that can be relied on."""
    try:
        return _decoded(JSON.decode(data))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an announcement: {type(error).__name__}: {error}") from error


def _decoded(told: Any) -> Endpoint:
    if told["format"] != FORMAT:
        raise ValueError(f"an announcement of format {told['format']}, known is {FORMAT}")
    partition = told["partition"]
    endpoint = Endpoint(
        told["host"],
        told["port"],
        told["network"],
        told["features"],
        None
        if partition is None
        else Partition(str(partition["space"]), HashRange(int(partition["first"]), int(partition["last"]))),
        FrozenDict({str(key): str(value) for key, value in told["annotations"].items()}),
    )
    why = wrong(endpoint)
    if why is not None:
        raise ValueError(why)
    return endpoint


public("visor.views", Endpoint, Found)
