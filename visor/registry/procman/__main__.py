"""`python -m visor.registry.procman manager | scheduler`: see `--help`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import time

from visor._core.log_lines import LogLines
from visor.aio.registry import connect
from visor.registry.procman.manager import Manager
from visor.registry.procman.scheduler import Scheduler


def main() -> int:
    """Run a manager or a scheduler until SIGTERM or SIGINT."""
    options = _options()
    handler = logging.StreamHandler()
    handler.setFormatter(LogLines("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    asyncio.run(_manage(options) if options.role == "manager" else _schedule(options))
    return 0


async def _manage(options: argparse.Namespace) -> None:
    async with await connect(options.addr, options.root, actor=f"procman@{options.host}") as registry:
        manager = Manager(
            registry, options.host, capacity=options.capacity, ttl=options.ttl, grace=options.grace
        )
        _on_signals(manager.stop)
        work = asyncio.create_task(manager.run())
        ready = asyncio.create_task(manager.attended())
        await asyncio.wait([work, ready], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            _say(f"procman ready on {options.host}")
        ready.cancel()
        await work


async def _schedule(options: argparse.Namespace) -> None:
    async with await connect(options.addr, options.root, actor="scheduler") as registry:
        scheduler = Scheduler(registry, clock=time.monotonic)
        work = asyncio.create_task(scheduler.run())
        _on_signals(work.cancel)
        await scheduler.following.wait()
        _say("scheduler ready")
        await asyncio.wait([work])


def _on_signals(action: object) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, action)  # type: ignore[arg-type]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m visor.registry.procman", description=__doc__)
    roles = parser.add_subparsers(dest="role", required=True)
    manager = roles.add_parser("manager", help="run processes on this host")
    scheduler = roles.add_parser("scheduler", help="replace what is missing")
    for each in (manager, scheduler):
        each.add_argument("--addr", help="where the registry is [VISOR_ADDR]")
        each.add_argument("--root", help="put this before every path [VISOR_ROOT]")
    manager.add_argument("--host", required=True, help="the name of this host")
    manager.add_argument("--capacity", type=int, default=16, help="how many processes [16]")
    manager.add_argument("--ttl", type=float, default=10.0, help="seconds after which it counts as dead [10]")
    manager.add_argument("--grace", type=float, default=5.0, help="seconds for a process to end [5]")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
