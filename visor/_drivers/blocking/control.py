"""Asking a runner something: one line there, one line back, on a connection of its own."""

from __future__ import annotations

import socket
import time

from visor._core.registry.control import MOST, PAUSE, TRIES, answered, silent, unreachable


def ask(host: str, port: int, command: str, timeout: float) -> str:
    """Return the runner's answer to one command; Unavailable when it cannot be reached or does not answer."""
    end = time.monotonic() + timeout
    try:
        with _connect(host, port, end) as line, line.makefile("rb") as reader:
            line.sendall(f"{command}\n".encode())
            line.settimeout(max(0.001, end - time.monotonic()))
            return answered(reader.readline(MOST))
    except TimeoutError:
        raise silent(host, port, timeout) from None
    except OSError as error:
        raise unreachable(host, port, error) from error


def _connect(host: str, port: int, end: float) -> socket.socket:
    for left in reversed(range(TRIES)):
        try:
            return socket.create_connection((host, port), max(0.001, end - time.monotonic()))
        except TimeoutError:
            raise
        except OSError:
            if not left:
                raise
            time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))
    raise AssertionError("there is at least one try")
