"""etcd by aetcd; blocking by gRPC's own blocking stubs over aetcd's messages.

`etcd3`, the blocking client, runs with protobuf below 4 alone and is slower than the bare stubs: these are the most
that a blocking client for etcd can reach.
"""

from __future__ import annotations

import queue
from collections.abc import AsyncIterator, Iterator
from operator import attrgetter
from typing import Any

import aetcd
import grpc
from aetcd import rpc

from benchmarks.beside.clients import LostError


def _end(prefix: bytes) -> bytes:
    """Return the first key after all that begin with the prefix, which ends with `/`."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


def _compared(name: bytes, value: bytes, held: int) -> Any:
    compare = rpc.Compare(key=name, result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, mod_revision=held)
    put = rpc.RequestOp(request_put=rpc.PutRequest(key=name, value=value))
    return rpc.TxnRequest(compare=[compare], success=[put])


class Awaited:
    value_of = staticmethod(attrgetter("value"))

    def __init__(self, host: str, port: int) -> None:
        self._client = aetcd.Client(host=host, port=port)

    def name(self, path: str) -> bytes:
        return path.encode()

    async def open(self) -> None:
        await self._client.connect()
        self.put, self.get = self._client.put, self._client.get

    async def close(self) -> None:
        await self._client.close()

    async def held(self, name: bytes) -> int:
        return (await self._client.get(name)).mod_revision

    async def cas(self, name: bytes, value: bytes, held: int) -> int:
        made = self._client.transactions
        done, answers = await self._client.transaction(
            compare=[made.mod(name) == held], success=[made.put(name, value)], failure=[]
        )
        if not done:
            raise LostError(name)
        return answers[0].response_put.header.revision

    async def many(self, directory: str) -> list[bytes]:
        return [each.value for each in await self._client.get_prefix(f"{directory}/".encode())]

    async def watch(self, directory: str) -> AsyncIterator[Any]:
        watch = await self._client.watch_prefix(f"{directory}/".encode())

        async def names() -> AsyncIterator[bytes]:
            async for event in watch:
                yield event.kv.key

        return names()


class Blocking:
    def __init__(self, host: str, port: int) -> None:
        self._address = f"{host}:{port}"

    def name(self, path: str) -> bytes:
        return path.encode()

    def open(self) -> None:
        self._channel = grpc.insecure_channel(self._address)
        self._stub = rpc.KVStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def put(self, name: bytes, value: bytes) -> object:
        return self._stub.Put(rpc.PutRequest(key=name, value=value))

    def get(self, name: bytes) -> Any:
        return self._stub.Range(rpc.RangeRequest(key=name))

    @staticmethod
    def value_of(answer: Any) -> bytes:
        value: bytes = answer.kvs[0].value
        return value

    def held(self, name: bytes) -> int:
        return self._stub.Range(rpc.RangeRequest(key=name)).kvs[0].mod_revision

    def cas(self, name: bytes, value: bytes, held: int) -> int:
        answer = self._stub.Txn(_compared(name, value, held))
        if not answer.succeeded:
            raise LostError(name)
        return answer.header.revision

    def many(self, directory: str) -> list[bytes]:
        prefix = f"{directory}/".encode()
        answer = self._stub.Range(rpc.RangeRequest(key=prefix, range_end=_end(prefix)))
        return [each.value for each in answer.kvs]

    def watch(self, directory: str) -> Iterator[Any]:
        prefix = f"{directory}/".encode()
        asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        asked.put(rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=prefix, range_end=_end(prefix))))
        answers = rpc.WatchStub(self._channel).Watch(iter(asked.get, None))
        assert next(answers).created
        return (event.kv.key for answer in answers for event in answer.events)
