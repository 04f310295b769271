"""Today's controller on the state directory of 0.1.0, as that version's own code wrote it (state-0.1.0/make.sh)."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.network import Network
from tests.support.fakes.rawswitch import RawSwitch
from tests.support.rest_calls import ask
from tests.support.waiting import wait_for

OLD = Path(__file__).with_name("state-0.1.0")
TOLD: dict[str, Any] = json.loads((OLD / "told.json").read_text())
REST: dict[str, Any] = TOLD["told"]


def upgraded(folder: Path, state: str) -> Network:
    """The old site and policy, and the old state as it would be had it been written just now."""
    network = Network(folder, (OLD / "site.yaml").read_text())
    (folder / "policy.yaml").write_text((OLD / "policy.yaml").read_text())
    network.switches[3] = RawSwitch(3, (1, 2, 3, 4, 5))
    network.switches[3].neighbours |= {
        bytes((10, 8, 0, 2)): (1, b"\x0a\0\0\0\0\x08"), bytes((10, 8, 1, 2)): (5, b"\x0a\0\0\0\0\x18"),
    }  # fmt: skip
    kept = network.running.state
    shutil.copytree(OLD / state, kept)
    for path in [kept, *kept.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)  # git keeps no modes
    for name in ("bindings.json", "reservations.json"):
        path = kept / name
        if path.exists():
            path.write_text(json.dumps(later(json.loads(path.read_text()), time.time() - TOLD["at"])))
    return network


def later(told: Any, seconds: float) -> Any:
    """The same with its ends so much later."""
    if isinstance(told, dict):
        return {
            key: value + seconds if key == "until" else later(value, seconds) for key, value in told.items()
        }
    return [later(one, seconds) for one in told] if isinstance(told, list) else told


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with upgraded(tmp_path_factory.mktemp("upgrade"), "state") as found:
        yield found


def now(network: Network, path: str) -> Any:
    return network.running.json(f"/v1/{path}")


def same(rows: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    """Rows by the keys that 0.1.0 had, in order of the first of them."""
    return sorted(({key: row[key] for key in keys} for row in rows), key=lambda row: str(row[keys[0]]))


def test_nothing_of_the_old_state_is_lost(network: Network) -> None:
    assert network.running.metric("steering_not_restored_total", what="file") == 0
    assert network.running.metric("steering_not_restored_total", what="record") == 0
    assert "none of ours" not in network.running.log()


def test_tokens_are_the_same_and_mean_the_same(network: Network) -> None:
    running = network.running
    assert (running.state / "token").read_text() == (OLD / "state" / "token").read_text()
    token = {role: made["token"] for role, made in TOLD["tokens"].items()}
    assert set(token) == {"reader", "operator", "mcp", "device"}
    for role, one in token.items():
        assert ask(running, "GET", "/v1/health", token=one).status == 200, role
        assert ask(running, "GET", "/v1/policy", token=one).status == (200 if role == "operator" else 403)
    assert ask(running, "GET", "/v1/mcps/core", token=token["mcp"]).status == 200
    assert ask(running, "GET", "/v1/mcps/extra", token=token["mcp"]).status == 403
    assert ask(running, "GET", "/v1/bindings", token=token["device"]).status == 200


@pytest.mark.parametrize(
    ("path", "name", "keys"),
    [
        ("acl", "entries", ("name", "action", "source", "access", "destination", "port")),
        ("registry", "subscribers", ("id", "allowed", "addresses")),
        ("pairings", "pairings", ("name", "addresses")),
        ("bindings", "bindings", ("id", "device", "mcp", "ext_port", "address", "int_port", "ext_address", "version")),
        ("access-networks", "access_networks", ("name", "type", "trust", "offloaded_to", "sequence")),
        ("links", "links", ("name", "weight", "own_weight", "set_weight")),
        ("mcps", "mcps", ("name", "addresses", "port", "capacity_sessions")),
    ],
)  # fmt: skip
def test_lists_and_orders_are_as_they_were(
    network: Network, path: str, name: str, keys: tuple[str, ...]
) -> None:
    assert REST[path][name], "nothing would be compared"
    assert same(now(network, path)[name], *keys) == same(REST[path][name], *keys)


def test_drained_is_drained_and_an_old_update_is_still_old(network: Network) -> None:
    health = {one["name"]: one["health"] for one in now(network, "mcps")["mcps"]}
    assert health["extra"] == "draining" and health["core"] != "draining"
    update = {"type": "wlan", "trust": "operator", "sequence": 9}
    assert ask(network.running, "PUT", "/v1/access-networks/wlan", update, If_Match="*").status == 409
    orders = [
        json.loads((where / "orders.json").read_text()) for where in (OLD / "state", network.running.state)
    ]
    assert orders[0]["subscribers"] and orders[0] == {key: orders[1][key] for key in orders[0]}


def test_policies_that_were_in_force_are_known_and_come_back(network: Network) -> None:
    versions = {one["version"]: one for one in now(network, "policy/versions")["versions"]}
    for old in REST["policy/versions"]["versions"]:
        assert {key: versions[old["version"]][key] for key in old} == old
    answer = ask(network.running, "GET", "/v1/policy/versions/2")
    assert json.loads(answer.read())["text"] == REST["policy"]["text"]
    rolled = ask(network.running, "POST", "/v1/policy/rollback", {"version": 2}, If_Match="*")
    assert rolled.status == 200, rolled.read()
    in_force = json.loads(ask(network.running, "GET", "/v1/policy").read())
    assert (in_force["text"], in_force["version"]) == (REST["policy"]["text"], 4)


def test_who_had_an_address_is_still_told(network: Network) -> None:
    found = now(network, "mappings?ip=10.8.0.2&port=1500")
    assert {key: found[key] for key in REST["mappings"]} == REST["mappings"]


def test_a_proactive_session_is_known_again_with_its_reservation(tmp_path: Path) -> None:
    """No switch tells of it: only the file of sessions does. (Before the orders: those took it out of 0.1.0's file.)"""
    with upgraded(tmp_path, "state-early") as early:
        (old,) = TOLD["early_sessions"]
        wait_for(lambda: len(now(early, "sessions")["sessions"]) == 1)
        keys = ("mcp", "insertion", "token", "version", "client", "server")
        assert same(now(early, "sessions")["sessions"], *keys) == same([old], *keys)
        held = (
            "id",
            "level",
            "standing",
            "subscriber",
            "mcp",
            "rate_bps",
            "asked",
            "path_number",
            "paths",
            "version",
        )
        assert same(now(early, "reservations")["reservations"], *held) == same(
            REST["reservations"]["reservations"], *held
        )
        assert early.running.metric("steering_not_restored_total", what="file") == 0
