"""The checker finds everything that is half there or left over; the pure parts that cannot be seen through it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor import paths
from visor._core.registry import names, records
from visor._core.registry.ids import block
from visor._core.registry.model import InstanceRecord, Mark
from visor._core.registry.states import State
from visor.registry import Instance, Registry, errors


@pytest.fixture
def running(web: Registry) -> Instance:
    (instance,) = web.scale("web", "v1", "worker", 1).instances
    return instance.claim("h").started(port=80)


def files(registry: Registry) -> dict[str, bytes]:
    return {file.path: file.data for file in registry.client.scan("/**")}


def test_every_file_that_is_missing_is_found(web: Registry, running: Instance) -> None:
    """Whatever file of a live instance goes, somebody misses it."""
    web.scale("web", "v1", "worker", 2)
    whole = files(web)
    harmless = {"/uid"} | {path for path in whole if "/epoch/" in path or "/scale/" in path}
    for path in sorted(set(whole) - harmless - {"/next-port"}):
        web.client.delete(path)
        assert web.verify(), path
        web.client.set(path, whole[path])
        assert web.verify() == []


@pytest.mark.parametrize(
    "path",
    [
        "/apps/web/live/v1/worker/_/000000000000001",
        "/apps/web/stopping/v1/worker/_/000000000000001",
        "/tickets/open/000000000000001",
        "/tickets/claimed/h/000000000000001",
        "/hosts/h/000000000000001",
        "/ids/000000000000001",
        "/apps/web/instances/v1/worker/_/000000000000001",
        "/apps/web/instances/v1/000000000000001",
        "/apps/other/revs/v1",
        "/apps/web/nonsense",
        "/services/db/endpoints/h:1",
        "/free-ports/8000",
        "/leases/99",
    ],
)
def test_every_file_too_many_is_found(web: Registry, running: Instance, path: str) -> None:
    web.client.set(path, web.client.get(f"/ids/{running.id:015d}").data)
    told = " ".join(map(str, web.verify()))
    assert path in told or (path == "/free-ports/8000" and "port 8000" in told)
    web.client.delete(path)


def test_copies_that_differ_are_found(web: Registry, running: Instance) -> None:
    path = f"/hosts/h/{running.id:015d}"
    data = web.client.get(path).data
    web.client.set(path, data.replace(b'"port":80', b'"port":81'))
    assert [fault.path for fault in web.verify()] == [path]
    web.client.set(path, data)


def test_two_process_types_cannot_have_one_port(web: Registry) -> None:
    web.app("web").register_proc("other")
    data = web.client.get("/apps/web/procs/other").data
    web.client.set("/apps/web/procs/other", data.replace(b"8001", b"8000"))
    (fault,) = web.verify()
    assert "port 8000" in str(fault)
    web.client.set("/apps/web/procs/other", data.replace(b"8001", b"8009"))
    (fault,) = web.verify()
    assert "the next one is 8002" in str(fault)
    web.client.set("/apps/web/procs/other", data)


# -- pure parts ---------------------------------------------------------------------------------------
@given(st.text())
def test_any_text_can_be_a_component_of_a_path_and_comes_back(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    quoted = names.quote(text)
    assert names.unquote(quoted) == text
    if text:
        assert paths.check(f"/{quoted}") is None or len(quoted) > 255


@given(st.text(), st.text())
def test_different_texts_have_different_components(one: str, other: str) -> None:
    if one != other and (one + other).isprintable():
        assert names.quote(one) != names.quote(other)


def test_records_come_back_as_they_were() -> None:
    record = InstanceRecord(
        812000, "web", "v1", "worker", "prod", State.RUNNING, "h", "10.0.0.1", 80, "node", 9000, 1, 2, "now", 3,
        (("h", "then"),), 7, Mark("a", "b", "c"), Mark("d", "e", "f"),
    )  # fmt: skip
    assert records.decode(InstanceRecord, records.encode(record), "/x") == record
    assert records.decode(InstanceRecord, records.encode(record)[:-1] + b',"later":[1]}', "/x") == record


@pytest.mark.parametrize(
    "change",
    [
        {b'"state":"running"': b'"state":"walking"'},
        {b'"id":1': b'"id":"1"'},
        {b'"claims":[["h","t"]]': b'"claims":[["h"]]'},
        {b'"lock":["a","b","c"]': b'"lock":["a","b"]'},
        {b'"port":80': b'"port":true'},
    ],
)
def test_a_field_of_another_type_is_named(change: dict[bytes, bytes]) -> None:
    record = InstanceRecord(
        1, "web", "v1", "worker", state=State.RUNNING, port=80, claims=(("h", "t"),), lock=Mark("a", "b", "c")
    )
    data = records.encode(record)
    for old, new in change.items():
        assert old in data
        with pytest.raises(errors.BadRecord, match="expected"):
            records.decode(InstanceRecord, data.replace(old, new), "/x")


def test_ids_of_one_rev() -> None:
    assert block(812, 3) == [812000, 812001, 812002]
    assert block(812, 1000)[-1] < block(813, 1)[0]
    with pytest.raises(ValueError, match="1000"):
        block(812, 1001)
