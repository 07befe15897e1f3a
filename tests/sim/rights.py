"""Users whose rights end while they write: somebody gives each a token, and takes it back before long.

    Warden ---set_user u3, add_token---> registry <---writes with that token--- Ruled u3
    Warden ---revoke_token, or delete_user---> registry     "revoked as of rev 812"
                                                            no commit of u3 lies above rev 812 (`checkers/revoked.py`)

A user goes on for a while after that, on the connections that it had and on new ones, so that its writes are on every
way there is: at a leader, under way to one, in logs that are thrown away.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.checkers.history import Revocation, Write
from tests.sim.client import Client
from visor.protocol import tokens, verbs

if TYPE_CHECKING:
    from tests.sim.world import World

SHARE: Final = 0.25
"""Part of the seeds that has them."""
REVOKED: Final = "user revoked"
MOST: Final = 6
"""Users of one seed."""
MIX: Final = {"set": 30, "delete": 6, "txn": 18, "nop": 4, "get": 10}


class Quiet(Client):
    """A client that asks nothing of its own accord."""

    def _think(self) -> None: ...


class Ruled(Client):
    """A client that says a token. It writes, mostly."""

    def __init__(self, world: World, number: int, rng: random.Random, token: str) -> None:
        self._token = token
        super().__init__(world, number, rng)
        self._kinds = (tuple(MIX), tuple(MIX.values()))

    def _hello(self) -> dict[str, Any]:
        return {**super()._hello(), "token": self._token}

    def _ask_something(self) -> None:
        getattr(self, f"_ask_{self.rng.choices(*self._kinds)[0]}")()


class Warden:
    """See the module."""

    def __init__(self, world: World, rng: random.Random, end: float) -> None:
        self._world = world
        self._rng = rng
        self._end = end
        self._users = 0
        self._speaker = Quiet(world, len(world.clients), world.randoms.stream("warden"))
        world.clients.append(self._speaker)
        self._after(0.0, 1.0, self._let_in)

    def _after(self, least: float, most: float, do: Any, *arguments: Any) -> None:
        self._world.scheduler.after(self._rng.uniform(least, most), do, *arguments)

    def _change(self, action: str, arguments: dict[str, Any], answer: Any) -> None:
        write = Write(self._speaker.token(), (), ())
        self._speaker.ask(write, [verbs.AUTH, 0, 0, action, arguments], answer=answer)

    def _let_in(self) -> None:
        """Make a user; what fails is tried again with another one."""
        if self._world.scheduler.now >= self._end or self._users >= MOST:
            return
        self._users += 1
        self._after(0.3, 3.0, self._let_in)
        name = f"u{self._users}"
        self._change("set_user", {"name": name, "roles": []}, partial(self._made, name))

    def _made(self, name: str, result: Any) -> None:
        if result is None:
            return
        number, secret = self._rng.randbytes(tokens.NUMBER), self._rng.randbytes(tokens.SECRET)
        text = tokens.write(number, secret)
        token = tokens.read(text)
        assert token is not None
        row = {"id": token.id, "user": name, "digest": tokens.digest(secret)}
        self._change("add_token", row, partial(self._begin, name, token.id, text))

    def _begin(self, name: str, number: str, token: str, result: Any) -> None:
        if result is None:
            return
        world = self._world
        world.count("user let in")
        place = len(world.clients)
        user = Ruled(world, place, world.randoms.stream("client", place), token)
        world.clients.append(user)
        self._after(0.2, 4.0, self._revoke, name, number, user)

    def _revoke(self, name: str, number: str, user: Ruled) -> None:
        what = self._rng.choice((("revoke_token", {"id": number}), ("delete_user", {"name": name})))
        self._change(*what, partial(self._revoked, name, user))

    def _revoked(self, name: str, user: Ruled, result: Any) -> None:
        self._after(0.5, 3.0, user.die)
        if result is not None:
            self._world.count(REVOKED)
            self._world.history.revocations.append(Revocation(name, result[0]))
