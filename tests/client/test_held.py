"""What a connection holds before anything was said: whoever has thousands of clients pays for each."""

from __future__ import annotations

import tracemalloc

from visor._core.in_flight import InFlight
from visor._core.inbound import Inbound

MOST = 128 << 10
"""Bytes. msgpack's own would be 1.3 MB, and a gateway that strangers ask with made-up tokens grew by them."""


def test_a_connection_takes_little_until_something_is_large() -> None:
    tracemalloc.start()
    try:
        inbound, requests = Inbound(), InFlight()
        taken, _ = tracemalloc.get_traced_memory()
        assert taken < MOST
        value = bytes(1 << 20)
        inbound.feed(requests._pack([1, 2, value]))
        assert list(inbound.messages) == [[1, 2, value]]
    finally:
        tracemalloc.stop()
