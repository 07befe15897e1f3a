"""A small, complete process manager and a scheduler: what a real consumer of the domain looks like.

    python -m visor.registry.procman manager --host 10.0.0.1 --capacity 20
    python -m visor.registry.procman scheduler

It lies in the package, not beside the tests, so that users who install it can follow the tour in the README with it. It
uses nothing but the public names of `visor.aio.registry`.

`manager.py` claims start tickets, runs the processes, reports what becomes of them, ends those that should stop, and
holds a lease: when it dies, its instances are lost by themselves. `scheduler.py` registers new ones for those that are
missing.

What the registry calls over must not run on, or it would run twice: each instance lies behind a keeper (`keeper.py`),
which ends all that the instance ever started when its first process has exited, or when the manager is gone, by kill -9
as well. So an instance stays in the foreground: one that forks and exits has exited. Its variables come from the
registry, except those that choose which code runs (`environment.py` has the list): these are left out, with a log line.
"""

from __future__ import annotations
