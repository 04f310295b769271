"""Lists, registry, pairings and discovery over REST: who may, what is kept, what the engine is told."""

import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from steering.core.inputs import AclReplaced, PairingsReplaced, RegistryReplaced
from steering.model.authorisation import ListAnswer
from steering.model.identity import Identity, Role
from steering.store.interface import StateError
from steering.store.lists import ACL, REGISTRY, AccessLists
from steering.store.memory import MemoryStore
from steering.store.state_directory import StateDirectory
from tests.support.fixed_answers import IMSI
from tests.support.fixed_view import TOKEN, FixedView, north
from tests.support.noted_control import Noted

Json = dict[str, Any]
DEVICE = "device-" + "z" * 40
OWN = (ip_network("10.1.0.0/28"), ip_network("fd00:1::/64"))
ENTRY = {
    "name": "cpe",
    "action": "deny",
    "source": ["10.1.0.0/28"],
    "access": ["lte"],
    "port": ["80", "5000-5010"],
}


class Keys:
    """An operator, a reader, a device called cpe-1, cpe-3 that has addresses, and a device without a name."""

    def identify(self, token: str) -> Identity | None:
        return {
            TOKEN: Identity("op", Role.OPERATOR, "tests"),
            "reader": Identity("rd", Role.READER, "reads"),
            DEVICE: Identity("0a0a0a0a", Role.DEVICE, "cpe-1"),
            "bounded": Identity("0c0c0c0c", Role.DEVICE, "cpe-3", addresses=OWN),
            "nameless": Identity("0b0b0b0b", Role.DEVICE, ""),
            "mcp": Identity("mc", Role.MCP, "", "core"),
        }.get(token)


class Rest:
    def __init__(self, store: Any = None, view: Any = None) -> None:
        self.noted, self.store = Noted(), store or MemoryStore()
        self.north = north(view, control=self.noted, keyring=Keys(), store=self.store)

    def ask(
        self, method: str, path: str, body: Json | None = None, token: str = TOKEN, **headers: str
    ) -> Any:
        request = Request.blank(path, method=method, headers={"Authorization": f"Bearer {token}"} | headers)
        if body is not None:
            request.body, request.content_type = json.dumps(body).encode(), "application/json"
        return request.get_response(self.north.application)

    def put_acl(self, *entries: Json, **headers: str) -> Any:
        return self.ask("PUT", "/v1/acl", {"entries": list(entries)}, **({"If-Match": "*"} | headers))


@pytest.mark.row("N-5.3b")
def test_the_list_is_replaced_whole_and_the_engine_told_at_once():
    rest = Rest()
    first = rest.ask("GET", "/v1/acl")
    assert first.json == {"entries": []}
    answer = rest.put_acl(ENTRY, **{"If-Match": first.headers["ETag"]})
    assert answer.status_int == 200 and answer.json["entries"][0]["destination"] == []
    (given,) = rest.noted.given
    assert isinstance(given, AclReplaced)
    (entry,) = given.entries
    assert entry.action is ListAnswer.DENY and entry.ports == ((80, 80), (5000, 5010))
    assert entry.access_networks == {"lte"} and [str(n) for n in entry.sources] == ["10.1.0.0/28"]
    assert rest.put_acl(**{"If-Match": first.headers["ETag"]}).status_int == 412
    assert rest.ask("PUT", "/v1/acl", {"entries": []}).status_int == 428
    assert rest.ask("GET", "/v1/acl", token="reader").json == answer.json
    assert rest.ask("PUT", "/v1/acl", {"entries": []}, "reader", **{"If-Match": "*"}).status_int == 403


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "x", "action": "refuse"},
        {"name": "x", "action": "deny", "source": ["10.1.0.1/24"]},
        {"name": "x", "action": "deny", "source": ["fe80::1%eth0"]},
        {"name": "x", "action": "deny", "port": ["0"]},
        {"name": "x", "action": "deny", "port": ["9-1"]},
        {"name": "x", "action": "deny", "more": 1},
        {"action": "deny"},
    ],
)
def test_a_list_with_a_mistake_changes_nothing(entry):
    rest = Rest()
    assert rest.put_acl(entry).status_int == 422
    assert not rest.noted.given and not rest.store.values


def test_a_list_names_what_there_is_once():
    rest = Rest()
    plain = {"name": "x", "action": "deny"}
    assert rest.put_acl(plain, plain).status_int == 409
    assert rest.put_acl(plain | {"access": ["nowhere"]}).status_int == 409
    many = [{"name": f"e{n}", "action": "deny", "source": ["10.1.0.1"] * 300} for n in range(4)]
    assert rest.put_acl(*many).status_int == 422


@pytest.mark.row("N-5.3a", "N-7.1")
def test_a_subscriber_is_registered_by_its_imsi_and_kept_by_a_pseudonym():
    rest = Rest()
    body = {"subscriber": IMSI, "addresses": ["10.1.0.2", "fd00:1::/64"]}
    made = rest.ask("POST", "/v1/registry", body)
    assert made.status_int == 200 and made.json["allowed"] and made.json["id"] != IMSI
    (given,) = rest.noted.given
    assert isinstance(given, RegistryReplaced)
    assert [str(n) for n in given.subscribers[0].addresses] == ["10.1.0.2/32", "fd00:1::/64"]
    again = rest.ask("POST", "/v1/registry", body | {"allowed": False})
    assert again.json["id"] == made.json["id"] and not again.json["allowed"]
    listed = rest.ask("GET", "/v1/registry", token="reader")
    assert len(listed.json["subscribers"]) == 1
    # The same pseudonym as that of the policy's subscriber of this name.
    assert made.json["id"] == rest.ask("GET", "/v1/subscribers").json["subscribers"][0]["id"]
    everything = listed.text + made.text + "".join(rest.store.values.values()) + repr(rest.noted.given)
    assert IMSI not in everything
    assert rest.ask("DELETE", f"/v1/registry/{made.json['id']}").status_int == 200
    assert rest.ask("DELETE", f"/v1/registry/{made.json['id']}").status_int == 404
    assert rest.noted.given[-1] == RegistryReplaced(())


@pytest.mark.row("N-7.1")
def test_what_is_wrong_with_a_registration_is_told_without_the_name(caplog):
    rest = Rest()
    with caplog.at_level("DEBUG"):
        answer = rest.ask("POST", "/v1/registry", {"subscriber": IMSI, "addresses": ["10.1.0.1/24"]})
    assert answer.status_int == 422 and IMSI not in answer.text and IMSI not in caplog.text


@pytest.mark.row("S-14")
def test_a_device_pairs_itself_and_nobody_else():
    rest = Rest()
    body = {"addresses": ["10.1.0.2"]}
    assert rest.ask("PUT", "/v1/pairings/cpe-1", body, DEVICE).status_int == 200
    assert rest.noted.given[-1] == PairingsReplaced(frozenset({bytes((10, 1, 0, 2))}))
    assert rest.ask("PUT", "/v1/pairings/cpe-2", body, DEVICE).status_int == 403
    assert rest.ask("DELETE", "/v1/pairings/cpe-2", token=DEVICE).status_int == 403
    assert rest.ask("PUT", "/v1/pairings/cpe-1", body, "nameless").status_int == 403
    assert rest.ask("PUT", "/v1/pairings/cpe-2", body).status_int == 200  # the operator
    for nobody in ("x" * 65, "cpe%0a1", "cpe%20"):
        assert rest.ask("PUT", f"/v1/pairings/{nobody}", body).status_int == 404
    assert [p["name"] for p in rest.ask("GET", "/v1/pairings").json["pairings"]] == ["cpe-1", "cpe-2"]
    assert rest.ask("GET", "/v1/pairings", token=DEVICE).status_int == 403
    assert rest.ask("PUT", "/v1/pairings/cpe-1", {"addresses": ["10.1.0.0/24"]}, DEVICE).status_int == 422
    assert rest.ask("PUT", "/v1/pairings/cpe-1", {"addresses": []}, DEVICE).status_int == 422
    assert rest.ask("DELETE", "/v1/pairings/cpe-1", token=DEVICE).status_int == 200
    assert rest.ask("DELETE", "/v1/pairings/cpe-1", token=DEVICE).status_int == 404


@pytest.mark.row("S-14", "N-5.2.1e")
def test_a_device_pairs_no_address_of_another_device():
    """Else it could have an MCP open a port that leads to its neighbour."""
    rest = Rest()
    path, neighbours = "/v1/pairings/cpe-1", ["10.1.0.9", "fd00:1::9"]
    assert rest.ask("PUT", "/v1/pairings/cpe-2", {"addresses": neighbours}).status_int == 200
    for addresses in (neighbours[:1], ["10.1.0.2", "fd00:1:0:0::9"]):
        answer = rest.ask("PUT", path, {"addresses": addresses}, DEVICE)
        assert answer.status_int == 409 and "another device" in answer.json["detail"]
    assert rest.noted.given[-1] == PairingsReplaced(frozenset(ip_address(a).packed for a in neighbours))
    for _ in range(2):
        assert rest.ask("PUT", path, {"addresses": ["10.1.0.2"]}, DEVICE).status_int == 200
    assert rest.ask("DELETE", "/v1/pairings/cpe-2").status_int == 200
    assert rest.ask("PUT", path, {"addresses": neighbours}, DEVICE).status_int == 200


@pytest.mark.row("S-14", "N-5.2.1e")
@pytest.mark.parametrize(
    "address",
    ["::ffff:10.1.0.9", "::ffff:127.0.0.1", "127.0.0.1", "127.8.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1",
     "169.254.169.254", "fe80::1", "255.255.255.255"],
)  # fmt: skip
def test_what_no_machine_of_ones_own_speaks_from_is_paired_with_no_device(address: str):
    """Else an MCP would open a port that leads to its own machine's loopback, or to the neighbour by another name."""
    rest = Rest()
    assert rest.ask("PUT", "/v1/pairings/cpe-2", {"addresses": ["10.1.0.9"]}).status_int == 200
    body = {"addresses": ["10.1.0.2", address]}
    assert rest.ask("PUT", "/v1/pairings/cpe-1", body, DEVICE).status_int == 422
    assert rest.ask("PUT", "/v1/pairings/cpe-1", body).status_int == 422, "an operator's mistake"
    assert len(rest.noted.given) == 1


@pytest.mark.row("S-14", "N-5.2.1e")
def test_a_device_whose_token_says_so_pairs_its_own_addresses_alone():
    rest = Rest()
    path = "/v1/pairings/cpe-3"
    for addresses in (["10.1.0.16"], ["10.1.0.2", "fd00:2::1"], ["fd00:1:0:1::"]):
        answer = rest.ask("PUT", path, {"addresses": addresses}, "bounded")
        assert answer.status_int == 403 and "not for" in answer.json["detail"]
    assert not rest.noted.given and not rest.store.values
    assert rest.ask("PUT", path, {"addresses": ["10.1.0.15", "fd00:1::7"]}, "bounded").status_int == 200
    assert rest.ask("PUT", path, {"addresses": ["10.1.0.16"]}).status_int == 200, (
        "an operator says whose it is"
    )


class Ill(FixedView):
    """The MCPs' health as told."""

    def __init__(self, **health: str) -> None:
        super().__init__()
        self._health = health

    def mcps(self) -> list[Json]:
        found = [{**one, "reachable": True, "load": 0.5} for one in super().mcps()]
        return [{**one, "health": self._health.get(one["name"], "up")} for one in found]


@pytest.mark.row("N-5.2.1a", "N-7.3a", "S-5")
def test_a_device_discovers_the_mcps_that_it_may_use_by_its_credential_alone():
    rest = Rest(view=Ill())
    found = rest.ask("GET", "/v1/discovery", token=DEVICE).json
    assert found["device"] == "cpe-1" and not found["paired"] and found["lasts_s"] > 0
    assert [mcp["name"] for mcp in found["mcps"]] == ["core", "edge"]
    assert found["mcps"][0]["addresses"] == ["10.8.0.2", "fd00:8::2"]
    rest.ask("PUT", "/v1/pairings/cpe-1", {"addresses": ["10.1.0.2"]}, DEVICE)
    assert rest.ask("GET", "/v1/discovery", token=DEVICE).json["paired"]
    assert rest.ask("GET", "/v1/discovery", token="nobody").status_int == 401
    assert rest.ask("GET", "/v1/discovery", token="mcp").status_int == 403

    drained = Rest(view=Ill(core="draining"))
    assert [m["name"] for m in drained.ask("GET", "/v1/discovery", token=DEVICE).json["mcps"]] == ["edge"]
    nothing = Rest(view=Ill(core="down", edge="down")).ask("GET", "/v1/discovery", token=DEVICE)
    assert nothing.status_int == 503 and nothing.headers["Retry-After"]


# ---- what is kept ---------------------------------------------------------------------------------


@pytest.mark.row("N-5.3b", "N-5.3a")
def test_a_controller_that_starts_again_has_not_forgotten(tmp_path: Path):
    rest = Rest(StateDirectory(tmp_path))
    rest.put_acl(ENTRY)
    rest.ask("POST", "/v1/registry", {"subscriber": IMSI, "addresses": ["10.1.0.2"]})
    rest.ask("PUT", "/v1/pairings/cpe-1", {"addresses": ["10.1.0.2"]}, DEVICE)
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600 and IMSI not in file.read_text()

    again = Rest(StateDirectory(tmp_path))
    assert not again.noted.given
    again.north.restore.lists()
    assert again.noted.given == [rest.noted.given[0], rest.noted.given[1], rest.noted.given[2]]
    assert again.ask("GET", "/v1/acl").json == rest.ask("GET", "/v1/acl").json


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (ACL, "no json"),
        (ACL, "{}"),
        (ACL, '[{"name": "x"}]'),
        (
            ACL,
            '[{"name": "x", "action": "maybe", "source": [], "access": [], "destination": [], "port": []}]',
        ),
        (REGISTRY, '{"a": {"allowed": true, "addresses": ["nonsense"]}}'),
        (REGISTRY, '{"a": 3}'),
    ],
)
def test_a_list_that_cannot_be_read_stops_the_start(name, text):
    store = MemoryStore()
    store.write(name, text)
    with pytest.raises(StateError, match=r"json"):
        AccessLists(store)


def test_a_list_that_others_may_read_stops_the_start(tmp_path: Path):
    StateDirectory(tmp_path).write(ACL, "[]")
    (tmp_path / ACL).chmod(0o644)
    with pytest.raises(StateError):
        AccessLists(StateDirectory(tmp_path))


def test_lists_are_bounded(monkeypatch):
    from steering.store import lists

    monkeypatch.setattr(lists, "MOST_REGISTERED", 1)
    monkeypatch.setattr(lists, "MOST_PAIRED", 1)
    rest = Rest()
    assert rest.ask("POST", "/v1/registry", {"subscriber": "a"}).status_int == 200
    assert rest.ask("POST", "/v1/registry", {"subscriber": "b"}).status_int == 409
    assert rest.ask("POST", "/v1/registry", {"subscriber": "a", "allowed": False}).status_int == 200
    assert rest.ask("PUT", "/v1/pairings/a", {"addresses": ["10.1.0.2"]}).status_int == 200
    assert rest.ask("PUT", "/v1/pairings/b", {"addresses": ["10.1.0.2"]}).status_int == 409
