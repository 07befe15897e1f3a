"""The network between members and from clients, as a process: every byte passes through it, and it can hold any.

    member A --dials the advertised address of B--> [peer door of B] --> B        links "A>B" and, for answers, "B>A"
    client   --dials the advertised address of B--> [client door of B] --> B      links "client>B" and "B>client"

Who dials a peer door is read from the handshake's first frame, which carries the dialler's own advertised address.
Rules are set for links by name, at any time; what a link holds is delivered in order when it is passed on again, as TCP
does after a short cut. It is driven by lines of JSON on its standard input, answers each with one line, and ends when
that does:

    {"door": "n2", "kind": "peer", "listen": "127.0.0.1:12001", "target": "127.0.0.1:12002"}
    {"rules": {"n1>n2": {"hold": true}, "n2>n1": {"delay": 0.05, "rate": 100000}}}     links not named pass freely
    {"reset": ["n1>n2"]}                                                              break these connections now
    {"counts": true}
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, cast

import msgpack

from tests.cluster.ports import split

HELLO_LIMIT: Final = 4096
HELLO_SECONDS: Final = 10.0
QUEUE_LIMIT: Final = 1 << 20
"""Bytes of one direction that wait here; then its sender is not read any more."""
SOCKET_BUFFER: Final = 256 << 10
"""In the kernel: a held link must be felt by its sender before megabytes have gone into it."""
CLIENT: Final = "client"
UNKNOWN: Final = "stranger"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a link does with bytes. `delay` in seconds, `rate` in bytes a second (0: no limit)."""

    hold: bool = False
    refuse: bool = False
    """New connections are closed at once; what is held back by `hold` waits in the dark instead."""
    delay: float = 0.0
    rate: float = 0.0


FREE: Final = Rule()


class Network:
    """The rules, and all connections that they apply to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.rules: dict[str, Rule] = {}
        self.names: dict[str, str] = {}
        """Advertised peer address -> member."""
        self.pipes: set[Pipe] = set()
        self.connections = 0
        self.resets = 0
        self.bytes = 0

    def rule(self, link: str) -> Rule:
        """Return what a link does now."""
        return self.rules.get(link, FREE)

    def set_rules(self, rules: dict[str, Rule]) -> None:
        """Replace all rules."""
        self.rules = rules
        for pipe in list(self.pipes):
            pipe.pump()

    def reset(self, links: set[str]) -> None:
        """Break the connections that carry these links."""
        for pipe in list(self.pipes):
            if pipe.link in links:
                self.resets += 1
                pipe.break_both()

    async def open_door(self, member: str, kind: str, listen: str, target: str) -> None:
        """Listen for whoever wants to reach a member."""
        if kind == "peer":
            self.names[listen] = member
        listening = socket.create_server(split(listen), backlog=256)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listening.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        await self.loop.create_server(lambda: Near(self, member, kind, target), sock=listening)


class Pipe:
    """One direction of one connection: bytes on their way from one socket to the other."""

    def __init__(self, network: Network, link: str, source: End, sink: End) -> None:
        self.network = network
        self.link = link
        self.source = source
        self.sink = sink
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued = 0
        self._free_at = 0.0
        """When the link has room for the next byte, with a limited rate."""
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        network.pipes.add(self)

    def feed(self, data: bytes) -> None:
        """Bytes came."""
        rule = self.network.rules.get(self.link)
        self.network.bytes += len(data)
        if rule is None and not self._queue and self.sink.transport is not None:
            self.sink.write(data)
            return
        now = self.network.loop.time()
        due = now + (rule.delay if rule is not None else 0.0)
        self._queue.append((due, data))
        self._queued += len(data)
        if self._queued > QUEUE_LIMIT:
            self.source.pause(self)
        self.pump()

    def pump(self) -> None:
        """Pass on what may go now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rule = self.network.rule(self.link)
        if rule.hold or self.sink.transport is None:
            return
        now = self.network.loop.time()
        while self._queue:
            due, data = self._queue[0]
            when = max(min(due, now + rule.delay), self._free_at)
            if when > now:
                self._timer = self.network.loop.call_at(when, self.pump)
                return
            self._queue.popleft()
            self._queued -= len(data)
            if rule.rate:
                self._free_at = max(self._free_at, now) + len(data) / rule.rate
            self.sink.write(data)
        if self._queued <= QUEUE_LIMIT // 2:
            self.source.resume(self)
        if self._ended:
            self._forget()
            self.sink.close()

    def end(self) -> None:
        """The source has closed: the sink hears of it after all that was sent, once the link passes again."""
        self._ended = True
        self.pump()

    def break_both(self) -> None:
        """Reset the connection."""
        self.source.abort()
        self.sink.abort()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        self.network.pipes.discard(self)

    def sink_is_gone(self) -> None:
        """Nobody takes the bytes any more."""
        self._forget()


class End(asyncio.Protocol):
    """One socket of a connection: `pipe` takes what it receives."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.pipe: Pipe | None = None
        self.incoming: Pipe | None = None
        """The pipe that writes here."""
        self._reasons: set[object] = set()
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._closing:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.pipe is not None:
            self.pipe.feed(data)

    def write(self, data: bytes) -> None:
        """Send."""
        if self.transport is not None:
            self.transport.write(data)

    def pause_writing(self) -> None:
        if self.incoming is not None:
            self.incoming.source.pause(self)

    def resume_writing(self) -> None:
        if self.incoming is not None:
            self.incoming.source.resume(self)

    def pause(self, reason: object) -> None:
        """Read no more, for this reason."""
        if not self._reasons and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        self._reasons.add(reason)

    def resume(self, reason: object) -> None:
        """The reason has passed."""
        if reason in self._reasons:
            self._reasons.discard(reason)
            if not self._reasons and self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.pipe is not None:
            self.pipe.end()
        if self.incoming is not None:
            self.incoming.sink_is_gone()

    def close(self) -> None:
        """Close after what was written."""
        self._closing = True
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if self.transport is not None:
            self.transport.abort()


class Near(End):
    """The side that dialled."""

    def __init__(self, network: Network, member: str, kind: str, target: str) -> None:
        super().__init__()
        self._network = network
        self._member = member
        self._kind = kind
        self._target = target
        self._begun = bytearray()
        self._source: str | None = CLIENT if kind == CLIENT else None
        self._far = End()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._network.connections += 1
        if self._source is not None:
            self._join()
        else:
            self._timer = self._network.loop.call_later(HELLO_SECONDS, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._source is not None:
            super().data_received(data)
            return
        self._begun += data
        source = dialler(self._begun, self._network.names)
        if source is None:
            if len(self._begun) > HELLO_LIMIT + 4:
                self.abort()
            return
        assert self._timer is not None
        self._timer.cancel()
        self._source = source
        self._join()
        begun, self._begun = bytes(self._begun), bytearray()
        super().data_received(begun)

    def _join(self) -> None:
        there, back = f"{self._source}>{self._member}", f"{self._member}>{self._source}"
        network = self._network
        if network.rule(there).refuse or network.rule(back).refuse:
            self.abort()
            return
        self.pipe = self._far.incoming = Pipe(network, there, self, self._far)
        self._far.pipe = self.incoming = Pipe(network, back, self._far, self)
        self.pause(self._far)
        self._task = network.loop.create_task(self._dial())

    async def _dial(self) -> None:
        host, port = split(self._target)
        try:
            await self._network.loop.create_connection(lambda: self._far, host, port)
        except OSError:
            self.abort()
            self._far.connection_lost(None)
            return
        if self.pipe is not None:
            self.pipe.pump()
        self.resume(self._far)


def dialler(begun: bytearray, names: dict[str, str]) -> str | None:
    """Return who sent this HELLO frame; None while it is not complete."""
    if len(begun) < 4:
        return None
    size = int.from_bytes(begun[:4], "big")
    if size > HELLO_LIMIT:
        return UNKNOWN
    if len(begun) < 4 + size:
        return None
    try:
        fields = msgpack.unpackb(bytes(begun[4 : 4 + size]))[2]
        return names.get(fields["address"], UNKNOWN)
    except (ValueError, LookupError, TypeError):
        return UNKNOWN


class Control:
    """Obeys the lines on standard input."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def obey(self, line: bytes) -> dict[str, Any]:
        """Do one command; return the answer."""
        command = json.loads(line)
        network = self._network
        if "door" in command:
            await network.open_door(command["door"], command["kind"], command["listen"], command["target"])
        elif "rules" in command:
            network.set_rules({link: Rule(**rule) for link, rule in command["rules"].items()})
        elif "reset" in command:
            network.reset(set(command["reset"]))
        return {"connections": network.connections, "resets": network.resets, "bytes": network.bytes}


async def main() -> None:
    """Run until standard input ends."""
    loop = asyncio.get_running_loop()
    control = Control(Network(loop))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        answer = await control.obey(line)
        os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(main())
    else:
        uvloop.run(main())
