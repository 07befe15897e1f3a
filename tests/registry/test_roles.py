"""The ready roles: each does its whole job on a closed registry, by what really does it, and not one thing more."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

import visor
import visor.aio
from tests.cli.cli_harness import Visor
from tests.node_process import ROOT
from tests.patience import PATIENCE
from visor import errors, select, testing, views
from visor.aio.registry import Registry as AsyncRegistry
from visor.auth import Grant
from visor.cli.commands.rights import READY
from visor.registry import Registry, roles
from visor.registry.errors import BadName, BadValue
from visor.registry.procman.manager import Manager
from visor.registry.procman.scheduler import Scheduler

HOST: Final = "10.0.0.1"
USERS: Final = {
    "ann": ("operator", None),
    "ci": ("deployer", "web"),
    "node": ("host", HOST),
    "other": ("host", "10.0.0.2"),
    "sched": ("scheduler", None),
    "bob": ("viewer", None),
}


class Closed:
    """A closed registry with a user for each ready role, below a root; and the apps web and shop."""

    def __init__(self, address: str, root: str, boss: visor.Client[bytes]) -> None:
        self.address, self.root, self.boss = address, root, boss
        self.tokens: dict[str, str] = {}
        for user, (kind, of) in USERS.items():
            boss.auth.set_role(user, roles.ready(kind, of, root=root))
            boss.auth.set_user(user, [user])
            self.tokens[user] = boss.auth.add_token(user)

    def dial(self, user: str) -> visor.Client[bytes]:
        return visor.dial(self.address, self.root, token=self.tokens[user], timeout=PATIENCE)

    def dial_async(self, user: str) -> visor.aio.Dialling[bytes]:
        return visor.aio.dial(self.address, self.root, token=self.tokens[user], timeout=PATIENCE)


@pytest.fixture(params=["/", "/fleet/prod"])
def closed(request: pytest.FixtureRequest) -> Iterator[Closed]:
    with testing.server() as server, server.dial() as client:
        client.auth.set_user("boss", ["root"])
        token = client.auth.add_token("boss")
        client.auth.set_user("anonymous", [])
        with visor.dial(server.address, request.param, token=token, timeout=PATIENCE) as boss:
            yield Closed(server.address, request.param, boss)


@pytest.fixture
def apps(closed: Closed) -> Closed:
    """The same, with the apps web and shop, both registered by an operator."""
    with closed.dial("ann") as client:
        registry = Registry(client)
        registry.init()
        for app in ("web", "shop"):
            registered = registry.register_app(f"git://git/{app}.git", "trusty", env={"KEY": "secret"})
            registered.register_revision("v1", "http://archive/v1")
            registered.register_proc("worker", command="sleep 600")
    return closed


@pytest.fixture
def command(closed: Closed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Visor]:
    """Return what types commands as a user."""
    for name in [name for name in os.environ if name.startswith("VISOR_")]:
        monkeypatch.delenv(name)

    def of(user: str) -> Visor:
        file = tmp_path / f"{user}.token"
        file.touch(0o600)
        file.write_text(closed.tokens[user])
        return Visor(
            {
                "XDG_CONFIG_HOME": str(tmp_path),
                "VISOR_ADDR": closed.address,
                "VISOR_ROOT": closed.root,
                "VISOR_TOKEN_FILE": str(file),
                "VISOR_TIMEOUT": f"{PATIENCE:g}s",
            },
            monkeypatch,
        )

    return of


# -- the whole job ----------------------------------------------------------------------------------------


async def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="the keeper needs /proc")
def test_a_host_runs_what_a_deployer_orders_and_a_scheduler_replaces_what_is_lost(apps: Closed) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:

            async def registry(user: str) -> AsyncRegistry:
                return await stack.enter_async_context(AsyncRegistry(await apps.dial_async(user)))

            ci, bob = await registry("ci"), await registry("bob")
            manager = Manager(await registry("node"), HOST, ttl=60, grace=0.2)
            scheduler = Scheduler(await registry("sched"), clock=time.monotonic, pause=0.01)
            works = [asyncio.create_task(each.run()) for each in (manager, scheduler)]
            await asyncio.wait_for(manager.attended(), PATIENCE)
            await asyncio.wait_for(scheduler.following.wait(), PATIENCE)

            await ci.scale("web", "v1", "worker", 3)
            await until(lambda: len(manager.running) == 3)
            await ci.scale("web", "v1", "worker", "-1")  # its entries are on the lease of the host
            await until(lambda: len(manager.running) == 2)
            await (await ci.snapshot()).create_ticket("start", "web", "v1", "worker")
            await until(lambda: len(manager.running) == 3)
            identity = min(manager.running)
            await (await ci.snapshot()).register_instance("web", "v1", "worker")
            await until(lambda: len(manager.running) == 4)
            await (await ci.instance(identity)).unregister(reason="by hand")
            await until(lambda: identity not in manager.running and len(manager.running) >= 3)

            async with await bob.watch_event(types=["instance-register"]) as events:
                manager.stop()
                await asyncio.wait_for(works[0], PATIENCE)
                await events.next(timeout=PATIENCE)  # what ended with its host is ordered anew
            works[1].cancel()
            await asyncio.wait([works[1]])

    asyncio.run(main())
    registry = Registry(apps.boss)
    assert registry.verify() == []


def test_what_runs_on_a_host_is_announced_by_it(apps: Closed) -> None:
    with apps.dial("node") as client, apps.dial("bob") as viewer:
        for port in (None, 8001):
            with views.announce(client, HOST, port) as announcement:
                announcement.update(annotations={"a": "b"})
                assert announcement.held
                with views.RegistryLocator(viewer) as locator:
                    assert [
                        each.host for each in views.get_nonempty(locator, timeout=PATIENCE).endpoints
                    ] == [HOST]
        registry = Registry(client)
        registry.snapshot().new_member("proxy", HOST, None).register()
        registry.snapshot().new_member("logger", HOST, 514).register()
        registry.snapshot().new_runner(f"{HOST}:9000", 5).register().unregister()
        with apps.dial("ann") as operator:
            Registry(operator).snapshot().new_service("db").register()
        registry.snapshot().service("db").register_endpoint(f"{HOST}:5432").unregister()


LOOKING: Final = """
app ls|app show web|rev ls|rev show web v1|rev exists web v1|proc ls|proc show web worker|env get web|env get web KEY
env ls web|instance ls --all|scale web v1 worker|ticket ls|service ls|runner ls|runner members|init --check|rev
instance ls web|whoami
"""
"""What a viewer types."""
DEPLOYING: Final = """
app head web v1|rev register web v2 --archive http://archive/v2|proc register web batch --command true|proc ls web
proc set web batch --command false|env set web A=1 B=2|env get web|env del web A|env register web prod X=1|env ls web
env show web prod|scale web v1 worker 3|scale web v1 worker -1|scale web v1 worker|scale web v1 worker 1 --env prod
scale web v1 worker 0 --env prod|env unregister web prod|instance ls web|instance ls --all web|rev ls web
instance register web v1 worker|ticket create start web v1 worker|event ls --app web|instance purge web --yes
proc unregister web batch|rev unregister web v2|history /apps/web/app|app show web|app unregister web --cascade --yes
app register web --repo git://git/web --stack trusty
"""
"""What a deployer of web types."""
OPERATING: Final = """
init|app register blog --repo git://git/blog|app unregister blog --yes|service register db|service add db h:5432
service rm db h:5432|service unregister db|runner register h:9000 812000|runner unregister h:9000|init --repair --yes
event ls|event ls --type instance-lost|instance purge --yes|ticket ls
"""
"""What an operator types besides."""


def lines(*texts: str) -> list[str]:
    return [line for text in texts for each in text.strip().splitlines() for line in each.split("|")]


@pytest.mark.parametrize(
    ("user", "typed"),
    [
        ("bob", lines(LOOKING)),
        ("ci", lines(DEPLOYING)),
        ("ann", lines(LOOKING, DEPLOYING, OPERATING)),
    ],
)
def test_each_types_what_its_work_takes(
    apps: Closed, command: Callable[[str], Visor], user: str, typed: list[str]
) -> None:
    visor_ = command(user)
    for line in typed:
        answer = visor_(*line.split())
        assert answer.code == 0, (line, answer)


# -- and not one thing more -------------------------------------------------------------------------------

OUTSIDE: Final[dict[str, Callable[[visor.Client[bytes]], object]]] = {
    "a file beside the domain": lambda client: client.get("/tour"),
    "writing one": lambda client: client.set("/tour", b"1"),
    "everything": lambda client: list(client.scan("/**")),
    "members": lambda client: client.admin.members(),
    "removing one": lambda client: client.admin.remove("n1"),
    "how the node is": lambda client: client.status(),
    "retention": lambda client: client.retain(revs=10),
    "users": lambda client: client.auth.users(),
    "a right more": lambda client: client.auth.set_user("bob", ["root"]),
    "a token of somebody": lambda client: client.auth.add_token("boss"),
    "leases": lambda client: list(client.leases()),
}
"""What no ready role grants."""
CHANGES: Final[dict[str, str]] = {
    "an app": "/apps/shop/app",
    "a variable": "/apps/shop/env/KEY",
    "a revision": "/apps/shop/revs/v9",
    "a process type": "/apps/shop/procs/worker",
    "an instance": "/apps/shop/instances/v1/worker/_/000000000000009",
    "a service": "/services/db/service",
    "another host's endpoint": "/services/db/endpoints/10.0.0.2:5432",
    "another host's entries": "/hosts/10.0.0.2/000000000000009",
    "another host's tickets": "/tickets/claimed/10.0.0.2/000000000000009",
    "another host's runner": "/runners/10.0.0.2/9000",
    "another host's manager": "/pms/10.0.0.2",
    "another host's proxy": "/proxies/10.0.0.2",
    "another host's logger": "/loggers/10.0.0.2:514",
    "a host that begins alike": "/views/10.0.0.10:80",
    "another host's announcement": "/views/10.0.0.2:80",
    "a lock": "/locks/key",
    "the schema": "/internal/schema",
    "the next port": "/next-port",
    "a free port": "/free-ports/8000",
}
"""Paths that somebody may write."""
MAY: Final = {
    "ann": set(CHANGES) - {"another host's announcement", "a host that begins alike"},
    "ci": {"another host's entries", "another host's tickets", "the next port", "a free port"},
    "node": {"an instance"},
    "sched": {"an instance"},
    "bob": set(),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_nothing_outside_of_the_domain_is_anybodys(closed: Closed, what: str) -> None:
    for user in USERS:
        with closed.dial(user) as client, pytest.raises(errors.Denied):
            OUTSIDE[what](client)


def test_each_writes_what_is_its_own(closed: Closed) -> None:
    for user, may in MAY.items():
        with closed.dial(user) as client:
            done = set()
            for what, path in CHANGES.items():
                try:
                    client.set(path, b"1")
                    done.add(what)
                except errors.Denied:
                    pass
            assert done == may, user


def test_a_deployer_sees_its_own_app_and_no_secrets_of_its_neighbour(apps: Closed) -> None:
    with apps.dial("ci") as client:
        registry = Registry(client)
        assert dict(registry.app("web").environment_variables()) == {"KEY": "secret"}
        for look in (
            lambda: registry.app("shop"),
            lambda: client.get("/apps/shop/env/KEY"),
            lambda: list(client.scan("/apps/*/env/*")),
            registry.apps,
            lambda: registry.scale("shop", "v1", "worker", 1),
            lambda: client.watch(select.tree("/apps/shop")),
        ):
            with pytest.raises(errors.Denied):
                look()


def test_a_viewer_sees_no_past(apps: Closed) -> None:
    with apps.dial("bob") as client:
        for look in (
            lambda: list(client.history("/apps/web/app")),
            lambda: list(client.diff(1, 2, "/apps/**")),
        ):
            with pytest.raises(errors.Denied):
                look()


# -- as values, and as a command ------------------------------------------------------------------------------


def test_a_root_is_put_before_all_of_it() -> None:
    for kind, of in USERS.values():
        plain, below = roles.ready(kind, of), roles.ready(kind, of, root="/fleet/prod/")
        assert [f"/fleet/prod{each.where}" for each in plain] == [each.where for each in below]
        assert len(set(plain)) == len(plain) <= 256


def test_strange_names_grant_nothing_else() -> None:
    assert Grant("write", "/hosts/%2A/**") in roles.host("*")
    assert not any("*/0" in each.where or "//" in each.where for each in roles.host("fe80::1"))
    for app in ("*", "a/b", "", "..", "a b"):
        with pytest.raises(BadName):
            roles.deployer(app)
    for name in ("", "a b"):
        with pytest.raises(BadName):
            roles.host(name)


@pytest.mark.parametrize(
    ("kind", "of"), [("king", None), ("host", None), ("deployer", None), ("viewer", "web")]
)
def test_a_role_that_is_none_is_said_to_be_so(kind: str, of: str | None) -> None:
    with pytest.raises(BadValue) as wrong:
        roles.ready(kind, of)
    assert "viewer, operator, scheduler alone, or deployer or host with a name" in str(wrong.value)


def test_the_command_makes_them(closed: Closed, command: Callable[[str], Visor]) -> None:
    closed.tokens["boss"] = closed.boss.auth.add_token("boss")
    visor_ = command("boss")
    assert READY == roles.KINDS
    assert visor_.json("role", "ready", "deployer", "web", "--dry-run")["role"] == "deployer-web"
    assert "deployer-web" not in {each.name for each in closed.boss.auth.roles()}
    assert visor_.ok("role", "ready", "deployer", "web").text == "deployer-web\n"
    visor_.ok("role", "ready", "host", "fe80::1", "--as", "host-v6")
    found = {each.name: set(map(str, each.grants)) for each in closed.boss.auth.roles()}
    assert found["deployer-web"] == set(map(str, roles.deployer("web", root=closed.root)))
    assert found["host-v6"] == set(map(str, roles.host("fe80::1", root=closed.root)))
    for wrong in (["king"], ["host"], ["viewer", "web"], ["deployer", "a/b"]):
        assert visor_("role", "ready", *wrong).code == 2


PAGE: Final = (ROOT / "visor" / "docs" / "domain.md").read_text()


SHOWN: Final = [(kind, {"deployer": "APP", "host": "HOST"}.get(kind)) for kind in roles.KINDS]


@pytest.mark.parametrize(("kind", "of"), SHOWN)
def test_the_page_tells_exactly_what_each_grants(kind: str, of: str | None) -> None:
    told: dict[str, Any] = {}
    for each in roles.ready(kind, of):
        told.setdefault(each.right, []).append(each.where)
    everything = [f"{root}/**" for root in roles.DOMAIN]
    for right, files in told.items():
        shown = " ".join(files).replace(" ".join(everything), "the domain")
        assert f"| `{' '.join(filter(None, (kind, of)))}` | {right} | `{shown}` |" in PAGE, (
            kind,
            right,
            shown,
        )
