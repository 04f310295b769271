"""/v1/reservations and `steering reservation` over a driven engine: statuses, roles, entity tags, events."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from steering.cli.main import main
from steering.core.inputs import Tick
from steering.core.snapshots.view import EngineView
from steering.model.identity import Identity, Role
from steering.northbound.auth.pseudonyms import pseudonym
from steering.northbound.composition import Northbound
from steering.northbound.schema.answers import SCHEMAS
from steering.northbound.schema.representation import JsonView
from tests.support.commands import failing
from tests.support.driven import Driven
from tests.support.fixed_view import TOKEN, Tokens, north, token_of
from tests.support.reservation_lab import POLICY, site
from tests.support.rest_schema import faults
from tests.support.rest_server import state_directory
from tests.support.switched import Lab

Json = dict[str, Any]
DEVICES = {name: f"device-of-{name}-" + "z" * 30 for name in ("anna", "bert")}


class DeviceTokens(Tokens):
    def identify(self, token: str) -> Identity | None:
        for name, known in DEVICES.items():
            if token == known:
                return Identity(f"{name}-id", Role.DEVICE, name)
        return super().identify(token)


class Desk:
    """The northbound over an engine with one session of anna's, and how to ask it."""

    def __init__(self, controller: str = "") -> None:
        self.lab = Lab(site(), replace(POLICY, limits=replace(POLICY.limits, subflows_per_session=20)))
        self.session = self.lab.session()
        view = JsonView(EngineView(self.lab.engine, lambda: self.lab.now, "0"), controller)
        self.north: Northbound = north(
            view,
            self.lab.counters,
            Driven(self.lab),
            keyring=DeviceTokens(),
            now=lambda: self.lab.now,
        )

    def ask(
        self, method: str, path: str, body: Any = None, token: str = TOKEN, tag: str | None = None
    ) -> tuple[int, Json, str | None]:
        headers = {"Authorization": f"Bearer {token}"} | ({"If-Match": tag} if tag else {})
        request = Request.blank(f"/v1/reservations{path}", method=method, headers=headers)
        if body is not None:
            request.content_type, request.body = "application/json", json.dumps(body).encode()
        response = request.get_response(self.north.application)
        return response.status_code, json.loads(response.body), response.headers.get("ETag")

    def rate(self, mbit: int, **more: Any) -> Json:
        return {"level": "session", "session": str(self.session.id), "rate_bps": mbit * 10**6} | more


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.row("D-6.4g")
def test_asked_offered_accepted_renewed_released(desk: Desk) -> None:
    status, one, tag = desk.ask("POST", "", desk.rate(50))
    assert (status, one["standing"], one["rate_bps"]) == (201, "offered", 20_000_000)
    assert one["subscriber"] == pseudonym(b"k" * 32, "anna")
    assert not list(faults(SCHEMAS["Reservation"], one, SCHEMAS))
    path = f"/{one['id']}"
    assert desk.ask("GET", path)[2] == tag
    assert desk.ask("PUT", path, {}, tag=tag)[0] == 409  # an offer cannot be renewed
    status, one, tag = desk.ask("POST", path + "/accept")
    assert (status, one["standing"], one["remaining_s"]) == (200, "granted", 300)
    assert desk.ask("PUT", path, {"lease_s": 5})[0] == 428
    status, one, after = desk.ask("PUT", path, {"lease_s": 5}, tag=tag)
    assert (status, one["remaining_s"]) == (200, 5)
    assert desk.ask("PUT", path, {}, tag=tag)[0] == 412 and after != tag
    assert len(desk.ask("GET", "")[1]["reservations"]) == 1
    assert desk.ask("DELETE", path)[:2] == (200, {"id": one["id"]})
    assert desk.ask("GET", path)[0] == 404


def test_a_refusal_is_409_and_names_its_reason(desk: Desk) -> None:
    assert desk.ask("POST", "", desk.rate(20))[0] == 201
    status, body, _ = desk.ask("POST", "", desk.rate(1))
    assert (status, body["errors"][0]["code"]) == (409, "reserved-already")
    assert body["detail"].startswith("reserved-already: ")


def test_in_a_cluster_a_session_is_named_with_its_controller() -> None:
    desk = Desk("c1")
    number = str(desk.session.id)
    for name in (number, f"c2:{number}", f"c11:{number}"):
        status, body, _ = desk.ask("POST", "", {"level": "session", "session": name, "rate_bps": 10**6})
        assert (status, body["errors"][0]["code"]) == (409, "no-such-session"), name
    name = f"c1:{number}"
    status, one, _ = desk.ask("POST", "", {"level": "session", "session": name, "rate_bps": 10**6})
    assert (status, one["session"]) == (201, name)
    assert desk.ask("GET", f"/{one['id']}")[1]["session"] == name
    assert [told["session"] for told in desk.ask("GET", "")[1]["reservations"]] == [name]
    of_all = {"level": "subscriber", "subscriber": "anna", "rate_bps": 10**6}
    status, one, _ = desk.ask("POST", "", of_all)
    assert (status, one["session"]) == (201, None)


@pytest.mark.row("D-6.4g")
def test_a_device_acts_for_its_own_subscriber_alone(desk: Desk) -> None:
    mine, other = DEVICES["anna"], DEVICES["bert"]
    assert desk.ask("POST", "", desk.rate(5), other)[0] == 403
    status, one, _ = desk.ask("POST", "", desk.rate(5), mine)
    assert status == 201
    assert len(desk.ask("GET", "", token=mine)[1]["reservations"]) == 1
    assert desk.ask("GET", "", token=other)[1]["reservations"] == []
    assert desk.ask("DELETE", f"/{one['id']}", token=other)[0] == 404
    assert desk.ask("DELETE", f"/{one['id']}", token=token_of("reader"))[0] == 403
    assert desk.ask("DELETE", f"/{one['id']}", token=mine)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {"level": "session", "session": "1"},
        {"level": "session", "subscriber": "anna", "rate_bps": 10**6},
        {"level": "subscriber", "subscriber": "anna", "session": "1", "rate_bps": 10**6},
        {"level": "subflow", "session": "1", "rate_bps": 10**6},
        {"level": "subflow", "session": "1", "subflows": 2, "rate_bps": 10**6},
        {"level": "session", "session": "1", "mcp": "core", "rate_bps": 10**6},
        {"level": "session", "session": "one", "rate_bps": 10**6},
        {"level": "session", "session": ":1", "rate_bps": 10**6},
        {"level": "session", "session": "c1:c2:1", "rate_bps": 10**6},
        {"level": "session", "session": "1", "rate_bps": 63_999},
        {"level": "session", "session": "1", "subflows": 0},
        {"level": "session", "session": "1", "subflows": 1, "lease_s": 0.5},
    ],
)
def test_what_fits_no_level_is_422(desk: Desk, body: Json) -> None:
    assert desk.ask("POST", "", body)[0] == 422
    assert desk.lab.engine.reserving.by_id == {}


def test_events_tell_how_a_reservation_begins_and_ends(desk: Desk) -> None:
    stream = desk.north.hub.open(lambda event: event.kind == "reservation", "", [])
    desk.north.watcher.look()
    _, one, _ = desk.ask("POST", "", desk.rate(50))
    desk.north.watcher.look()
    desk.ask("POST", f"/{one['id']}/accept")
    desk.north.watcher.look()
    desk.lab.now += 301
    desk.lab.give(Tick())
    desk.north.watcher.look()
    assert [(event.data["id"], event.data["change"]) for event in stream.queue] == [
        (one["id"], "offered"),
        (one["id"], "granted"),
        (one["id"], "expired"),
    ]


@pytest.fixture
def state_dir(tmp_path: Path, desk: Desk) -> Iterator[Path]:
    yield from state_directory(tmp_path / "state", desk.north.application)


@pytest.mark.row("D-6.4g")
def test_the_command_negotiates(state_dir: Path, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> str:
        assert main(["reservation", *words, "--state-dir", str(state_dir)]) == 0
        return capsys.readouterr().out

    number = str(desk.session.id)
    assert run() == "nothing is reserved\n"
    out = run("request", "--of-session", number, "--subflows", "10")
    assert "offered: 4 of 10 subflows" in out
    name = out.split()[0]
    assert f"{name} is granted" in run("accept", name)
    assert "for 60 s" in run("renew", name, "--lease", "60")
    assert json.loads(run("list", "--json"))["reservations"][0]["version"] == 3
    assert f"{name} is released" in run("release", name)
    out = run("request", "--flow", "10.1.0.2,40000,10.9.0.2,5201", "--mbit", "2.5")
    assert "granted: 2.5 of 2.5 Mbit/s" in out
    assert "s1-s3" in run("list")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["request"], "wants one of"),
        (["request", "--session", "1", "--flow", "x"], "wants one of"),
        (["request", "--flow", "nonsense", "--mbit", "1"], "SRC,PORT,DST,PORT"),
        (["accept"], "accept which?"),
        (["list", "abc"], "takes no ID"),
        (["request", "--session", "1"], "rate_bps or subflows"),
    ],
)
def test_bad_usage_is_one_line(
    words: list[str], says: str, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = failing(capsys, "reservation", *words, "--state-dir", str(state_dir))
    assert status == 2 and says in line


def test_what_nobody_named_is_told_apart_from_what_wants_a_tag(desk: Desk) -> None:
    assert desk.ask("PUT", "/0123456789abcdef", {})[0] == 428
    assert desk.ask("PUT", "/0123456789abcdef", {}, tag="*")[0] == 404
    assert desk.ask("GET", "/" + "0" * 129)[0] == 404
