"""Leaders go while streams are read and keyed writes are sent: all is told once, and done once."""

from __future__ import annotations

import threading
from pathlib import Path

import visor
from tests.admin.members import Members
from tests.gateway.running import Caller, gateway
from tests.gateway.test_watching import events
from tests.patience import PATIENCE

WRITES = 60
NAMES = ("n1", "n2", "n3")


def write(url: str, number: int) -> None:
    """Write until it is said to be done, always under one key."""
    headers = {"idempotency-key": f"write-{number}", "visor-note": str(number)}
    with Caller(url) as http:
        while http.request("PUT", "/v1/files/log", content=str(number), headers=headers).status_code != 200:
            continue


def test_streams_and_keyed_writes_through_three_leaders(tmp_path: Path) -> None:
    with Members(tmp_path) as members:
        members.start(*NAMES)
        addresses = ",".join(members.address(name) for name in NAMES)
        with gateway(addresses) as one, gateway(addresses) as two, Caller(one.url) as http:
            told: list[int] = []

            def follow() -> None:
                last: dict[str, str] = {}
                while len(told) < WRITES:
                    # Cut after some events, and gone on with by the id of the last one, at the other gateway.
                    url = f"{(one, two)[len(told) // 7 % 2].url}/v1/watch?glob=/log&from=1"
                    with events(http, url, headers=last) as stream:
                        for event in stream:
                            last = {"last-event-id": event["id"]} if event["id"] else last
                            told.extend([event["data"]["rev"]] if event["name"] == "commit" else [])
                            if event["name"] == "ended" or len(told) % 7 == 0 or len(told) == WRITES:
                                break

            reader = threading.Thread(target=follow, daemon=True)
            reader.start()
            for number in range(WRITES):
                write((one, two)[number % 2].url, number)
                if number % 20 == 10:
                    members.until(lambda: members.leader() is not None, "a leader")
                    name = members.on_loop(members.leader) or ""
                    members.stop(name)
                    members.start(name)
            reader.join(PATIENCE)
            with visor.dial(addresses) as client:
                commits = list(client.history("/log"))
    assert [commit.note for commit in commits] == [str(number) for number in range(WRITES)], (
        "each once, in order"
    )
    assert told == [commit.rev for commit in commits]
