"""Who watches a path: found on each member, with what they watch and how far behind they are."""

from __future__ import annotations

from dataclasses import replace

import visor
from tests.gateway.running import Caller
from tests.gateway.test_cluster_live import asked, status
from tests.patience import eventually
from visor.gateway.watchers import concerns, document


def test_who_watches_a_file_or_something_in_a_directory(http: Caller, client: visor.Client[bytes]) -> None:
    def watched(path: str) -> list[str]:
        told = http.get(f"/v1/watchers{path}").json()
        assert (told["path"], told["problems"], told["more"]) == (path, [], False)
        return sorted(row["what"] for row in told["watchers"] if row["what"].startswith("/looked"))

    with (
        client.watch("/looked/at/**"),
        client.watch("/looked/*/head") as watch,
        client.watch("/looked/aside"),
    ):
        client.set("/looked/at/head", b"")
        watch.next()
        eventually(lambda: watched("/looked/at/head") == ["/looked/*/head", "/looked/at/**"], "both")
        assert watched("/looked") == ["/looked/*/head", "/looked/aside", "/looked/at/**"]
        assert watched("/looked/aside") == ["/looked/aside"]
        row = http.get("/v1/watchers/looked/aside").json()["watchers"][0]
        assert row["behind"] == 0
        assert row["node"]
        assert row["peer"]
    eventually(lambda: watched("/looked") == [], "nobody watches any more")


def test_a_member_of_an_older_version_does_not_tell_and_that_is_said() -> None:
    told = status("n2")
    assert "tables" not in told.told
    found = document("/a", [*asked(n2=replace(told, server="visord/0.0.9"), n3="no answer")])
    assert (found["watchers"], found["more"]) == ([], False)
    assert found["problems"] == ["n2: visord/0.0.9 does not tell its watches: upgrade it", "n3: no answer"]


def test_which_selectors_concern_a_path() -> None:
    for what, said in (
        ([0, "/a/b"], True),
        ([0, "/a/c"], False),
        ([1, "/"], True),
        ([1, "/a/b/c"], True),
        ([1, "/a/bc"], False),
        ([2, "/a"], True),
        ([2, "/a/b"], True),
        ([2, "/"], False),
        ([3, "/a/?"], True),
        ([3, "/a/b/*"], True),
        ([3, "/b/**"], False),
        ([4, "/a", "/b"], True),
        ([4, "/a", "/a/b"], False),
        ([4, "/a", None], True),
        ([5, [[0, "/c"], [1, "/a"]]], True),
    ):
        assert concerns(what, "/a/b") is said, what
