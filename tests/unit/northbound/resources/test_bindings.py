"""Bindings over REST: who may bind what, for how long, what is kept, what MCPs are told (N-5.2.1e)."""

import json
from typing import Any

import pytest
from webob import Request

from steering.northbound.resources import bindings
from steering.northbound.resources.bindings import MOST_AT_MCP, MOST_OF_DEVICE
from steering.northbound.schema.answers import SCHEMAS
from steering.store.interface import StateError
from steering.store.memory import MemoryStore
from steering.store.port_bindings import FILE, PortBindings
from tests.support.fixed_view import TOKEN, FixedView, north, token_of
from tests.support.noted_control import Noted
from tests.support.rest_schema import faults

Json = dict[str, Any]
DEVICE = token_of("device")  # cpe-1
WISH: Json = {"ext_port": 50_001, "int_port": 7001}


class Rest:
    """A northbound, the clock of its bindings, and what its streams were told."""

    def __init__(self, store: MemoryStore | None = None, pair: bool = True) -> None:
        self.store = store or MemoryStore()
        self.north = north(FixedView(), control=Noted(), store=self.store)
        self.time = 1_000.0
        self.north.bindings._clock = lambda: self.time
        self.stream = self.north.hub.open(lambda event: True, "", [])
        if pair:
            assert (
                self.ask("PUT", "/v1/pairings/cpe-1", {"addresses": ["10.1.0.2", "fd00:1::2"]}).status_int
                == 200
            )

    def ask(
        self, method: str, path: str, body: Json | None = None, token: str = TOKEN, **headers: str
    ) -> Any:
        sent = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        request = Request.blank(path, method=method, headers=sent)
        if body is not None:
            request.body, request.content_type = json.dumps(body).encode(), "application/json"
        return request.get_response(self.north.application)

    def bind(self, token: str = DEVICE, **wish: Any) -> Any:
        return self.ask("POST", "/v1/bindings", WISH | wish, token)

    def told(self, kind: str) -> list[Json]:
        found = [event.data for event in self.stream.queue if event.kind == kind]
        self.stream.queue.clear()
        return found


@pytest.fixture
def rest() -> Rest:
    return Rest()


@pytest.mark.row("N-5.2.1e")
def test_a_device_binds_and_its_mcp_is_told(rest: Rest) -> None:
    made = rest.bind(lifetime_s=600)
    assert made.status_int == 201 and not list(faults(SCHEMAS["Binding"], made.json, SCHEMAS))
    wanted = {
        "device": "cpe-1", "mcp": "core", "ext_address": "10.8.0.2", "ext_port": 50_001, "address": "10.1.0.2",
        "int_port": 7001, "lifetime_s": 600, "remaining_s": 600.0, "version": 1,
    }  # fmt: skip
    assert {name: made.json[name] for name in wanted} == wanted
    (told,) = rest.told("bindings")
    name = made.json["id"]
    one = {"id": name, "ext_port": 50_001, "host": "10.1.0.2", "int_port": 7001, "lasts_s": 600.0}
    assert told == {"mcp": "core", "bindings": [one]}
    assert rest.north.bindings.standing("core") == [("bindings", told)]
    assert rest.north.bindings.standing("edge") == [("bindings", {"mcp": "edge", "bindings": []})]
    listed = rest.ask("GET", "/v1/bindings", token=DEVICE)
    assert listed.json == {"bindings": [made.json]}
    assert rest.ask("GET", f"/v1/bindings/{name}", token=DEVICE).json == made.json


@pytest.mark.row("N-5.2.1e")
def test_it_ends_with_its_lifetime_unless_it_is_renewed(rest: Rest) -> None:
    made = rest.bind(lifetime_s=10)
    path, tag = f"/v1/bindings/{made.json['id']}", made.headers["ETag"]
    rest.time += 8
    assert rest.ask("PUT", path, {}, DEVICE).status_int == 428
    again = rest.ask("PUT", path, {}, DEVICE, If_Match=tag)
    assert (again.status_int, again.json["remaining_s"], again.json["version"]) == (200, 10.0, 2)
    assert rest.ask("PUT", path, {}, DEVICE, If_Match=tag).status_int == 412
    assert rest.ask("PUT", path, {"lifetime_s": 30}, DEVICE, If_Match="*").json["lifetime_s"] == 30
    rest.time += 29.9
    rest.north.bindings.look()
    assert rest.ask("GET", path, token=DEVICE).status_int == 200
    rest.told("bindings")
    rest.time += 0.2
    rest.north.bindings.look()
    assert rest.told("bindings") == [{"mcp": "core", "bindings": []}]
    assert rest.ask("GET", path, token=DEVICE).status_int == 404
    assert json.loads(rest.store.values[FILE]) == {}


def test_everybody_hears_that_it_changed_and_not_whose_it_is(rest: Rest) -> None:
    made = rest.bind()
    rest.ask("DELETE", f"/v1/bindings/{made.json['id']}", token=DEVICE)
    told = rest.told("binding")
    assert [one["change"] for one in told] == ["bound", "unbound"]
    assert "10.1.0.2" not in json.dumps(told) and "cpe-1" not in json.dumps(told)


@pytest.mark.row("N-5.2.1e", "S-14")
def test_a_device_binds_its_own_addresses_for_itself_alone(rest: Rest) -> None:
    assert rest.bind(device="cpe-2").status_int == 403
    assert rest.bind(address="10.1.0.9").json["errors"][0]["path"] == "address"
    assert rest.bind(mcp="none").json["errors"][0]["path"] == "mcp"
    assert rest.bind(token=token_of("reader")).status_int == 403
    assert rest.bind(token=token_of("mcp")).status_int == 403
    assert rest.bind(token=TOKEN).json["errors"][0]["path"] == "device"  # an operator says whose
    assert Rest(pair=False).bind().status_int == 409
    other = rest.bind(token=TOKEN, device="cpe-1", address="fd00:1::2")
    assert (other.status_int, other.json["ext_address"]) == (201, "fd00:8::2")
    rest.ask("PUT", "/v1/pairings/cpe-2", {"addresses": ["10.1.0.7"]})
    foreign = rest.bind(token=TOKEN, device="cpe-2", ext_port=50_002).json["id"]
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        assert rest.ask(method, f"/v1/bindings/{foreign}", body, DEVICE, If_Match="*").status_int == 404
    assert [one["device"] for one in rest.ask("GET", "/v1/bindings", token=DEVICE).json["bindings"]] == [
        "cpe-1"
    ]
    assert len(rest.ask("GET", "/v1/bindings").json["bindings"]) == 2


@pytest.mark.parametrize(
    "wish",
    [
        {"ext_port": 1023}, {"ext_port": 65_536}, {"int_port": 0}, {"lifetime_s": 0}, {"lifetime_s": 86_401},
        {"address": "10.1.0.0/24"}, {"more": 1}, {"lifetime_s": 1.5},
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_binds_nothing(rest: Rest, wish: Json) -> None:
    assert rest.bind(**wish).status_int == 422
    assert FILE not in rest.store.values


def test_a_port_is_bound_once_and_one_is_found_that_is_free(rest: Rest) -> None:
    assert rest.bind().status_int == 201
    assert rest.bind().status_int == 409
    assert rest.bind(mcp="edge").status_int == 201  # another MCP's
    found = rest.bind(ext_port=None).json["ext_port"]
    assert found in bindings.DYNAMIC and found != 50_001


def test_there_are_only_so_many(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MOST_OF_DEVICE):
        assert rest.bind(ext_port=50_100 + number).status_int == 201
    assert "all there may be" in rest.bind(ext_port=60_000).json["detail"]
    assert MOST_AT_MCP == 256  # as many as a relay listens for: steering.relay.controller.inbound_ports.MOST
    monkeypatch.setattr(bindings, "MOST_AT_MCP", MOST_OF_DEVICE)
    rest.ask("PUT", "/v1/pairings/cpe-2", {"addresses": ["10.1.0.7"]})
    assert "MCP 'core' has" in rest.bind(token=TOKEN, device="cpe-2", ext_port=60_000).json["detail"]


def test_it_is_lost_with_its_devices_pairing(rest: Rest) -> None:
    rest.bind()
    assert rest.ask("DELETE", "/v1/pairings/cpe-1").status_int == 200
    rest.told("binding")
    rest.north.bindings.look()
    assert [one["change"] for one in rest.told("binding")] == ["lost"]


@pytest.mark.row("N-5.2.1e")
def test_it_outlives_the_controller_and_a_damaged_file_is_no_empty_one(rest: Rest) -> None:
    made = rest.bind(lifetime_s=600).json
    again = Rest(rest.store, pair=False)
    again.time = rest.time + 100
    found = again.ask("GET", f"/v1/bindings/{made['id']}", token=DEVICE).json
    assert found == made | {"remaining_s": 500.0}
    for text in ("[]x", "[1]", '{"a": {"until": 1}}'):
        rest.store.write(FILE, text)
        with pytest.raises(StateError, match="none of ours"):
            PortBindings(rest.store)


def test_only_its_mcp_hears_of_it(rest: Rest) -> None:
    def first(path: str, token: str) -> str:
        request = Request.blank(path, headers={"Authorization": f"Bearer {token}"})
        body = iter(request.get_response(rest.north.application).app_iter)
        return "".join(next(body).decode() for _ in range(2))

    rest.bind()
    assert "event: bindings" in first("/v1/mcps/core/events", token_of("mcp"))
    stream = rest.ask("GET", "/v1/events")
    body = iter(stream.app_iter)
    next(body)
    rest.bind(ext_port=50_002)
    told = next(body).decode()
    assert "event: binding\n" in told and "event: bindings\n" not in told
