"""What operators ordered outlives the controller: drains, access types, subscribers' accesses, offloads (D-6.7.1,
D-6.3e, D-1.u2)."""

import json
from typing import Any

import pytest
from webob import Request

from steering.core.inputs import AccessChanged, McpAdmin, Offload, SubscriberAccess
from steering.core.snapshots.view import EngineView
from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import Policy, Pooling, Subscriber
from steering.northbound.schema.representation import JsonView
from steering.store.interface import StateError
from steering.store.memory import MemoryStore
from steering.store.orders import FILE, MOST_SUBSCRIBERS, KeptOrders, SubscriberOrder
from tests.support.driven import Driven
from tests.support.fixed_answers import IMSI
from tests.support.fixed_view import LTE, TOKEN, WHO, north
from tests.support.sites import Driver, nets

WLAN = NetworkAccessType.WLAN


class Rest:
    """A northbound over a driven engine, and the store it keeps things in."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        policy = Policy(subscribers=(Subscriber(IMSI, "default", nets("10.1.0.2/32")),))
        self.driver = Driver(policy=policy)
        view = JsonView(EngineView(self.driver.engine, lambda: self.driver.now, "0.1.0"))
        self.control = Driven(self.driver)
        self.store = store or MemoryStore()
        self.north = north(view, control=self.control, store=self.store)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}", "If-Match": "*"}
        request = Request.blank(path, method=method, headers=headers)
        if body is not None:
            request.body, request.content_type = json.dumps(body).encode(), "application/json"
        return request.get_response(self.north.application)

    def again(self) -> "Rest":
        """The controller that starts after this one, whoever ended it."""
        after = Rest(self.store)
        after.north.restore.orders()
        return after


@pytest.mark.row("D-6.7.1")
def test_an_mcp_in_maintenance_stays_there(caplog: Any) -> None:
    rest = Rest()
    assert rest("POST", "/v1/mcps/core/drain").status_code == 202
    after = rest.again()
    core = after("GET", "/v1/mcps/core").json
    assert core["health"] == "draining" and after.control.given == [McpAdmin(core["id"], True)]
    assert after("POST", "/v1/mcps/core/undrain").status_code == 202
    assert after.again().control.given == [] and caplog.text == ""


@pytest.mark.row("D-6.3e")
def test_an_access_network_is_what_it_was_last_told_to_be_and_older_updates_are_still_refused() -> None:
    rest = Rest()
    assert rest("PUT", LTE, {"type": "wlan", "trust": "third-party", "sequence": 7}).status_code == 200
    after = rest.again()
    assert after.control.given == [AccessChanged("lte", WLAN, Trust.THIRD_PARTY)]
    assert after.driver.engine.chooser.access["lte"] == (WLAN, Trust.THIRD_PARTY)
    assert after("GET", LTE).json["sequence"] == 7
    assert after("PUT", LTE, {"type": "cellular", "trust": "operator", "sequence": 7}).status_code == 409
    assert after("PUT", LTE, {"type": "cellular", "trust": "operator", "sequence": 8}).status_code == 200


@pytest.mark.row("D-6.3e", "N-7.1")
def test_subscribers_accesses_are_kept_by_pseudonym_and_written_some_at_a_time() -> None:
    rest = Rest()
    path = f"/v1/subscribers/{WHO}/access"
    assert rest("PUT", path, {"allowed": ["wlan"], "preferred": ["wlan"], "sequence": 3}).status_code == 200
    assert rest.store.read(FILE) is None
    rest.north.save()
    text = rest.store.read(FILE)
    assert text is not None and IMSI not in text and WHO in text
    after = rest.again()
    assert after.control.given == [SubscriberAccess(IMSI, Pooling(frozenset({WLAN}), (WLAN,)))]
    assert after("PUT", path, {"sequence": 3}).status_code == 409
    assert after("PUT", path, {"sequence": 4}).status_code == 200
    after.north.save()
    assert after.again().control.given == [SubscriberAccess(IMSI, None)]


def test_no_more_subscribers_are_kept_than_the_bound() -> None:
    rest = Rest()
    rest("PUT", f"/v1/subscribers/{WHO}/access", {"sequence": 1})
    rest.north.save()
    kept = KeptOrders(rest.store)
    for number in range(MOST_SUBSCRIBERS):
        kept.subscriber(f"{number:016x}", SubscriberOrder((), (), 1))
    kept.save()
    written = json.loads(rest.store.read(FILE) or "")["subscribers"]
    assert len(written) == MOST_SUBSCRIBERS and WHO not in written


@pytest.mark.row("D-1.u2")
def test_an_offload_goes_on_until_it_is_taken_back() -> None:
    rest = Rest()
    assert rest("POST", "/v1/offload", {"from": "lte", "to": "wlan"}).status_code == 202
    after = rest.again()
    assert after.control.given == [Offload("lte", "wlan")]
    assert after("GET", LTE).json["offloaded_to"] == "wlan"
    assert after("POST", "/v1/offload", {"from": "wlan", "to": "lte"}).status_code == 202
    assert after.again().control.given == [Offload("wlan", "lte")]
    assert after("POST", "/v1/offload", {"from": "wlan", "to": None}).status_code == 202
    assert after.again().control.given == []


def test_what_another_site_ordered_is_said_and_passed_over(caplog: Any) -> None:
    store = MemoryStore()
    update = {"type": "wlan", "trust": "operator", "sequence": 1}
    gone = {"draining": ["old"], "access_networks": {"away": update}, "offloads": {"lte": "nowhere"}}
    store.write(FILE, json.dumps(gone | {"subscribers": {"0" * 16: {"sequence": 1}}}))
    after = Rest(store).again()
    assert after.control.given == [] and "about away, nowhere, old are of no use" in caplog.text


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"drained": []}', '{"draining": [7]}', '{"offloads": {"lte": 1}}', '{"access_networks": {"lte": {}}}']
)  # fmt: skip
def test_a_file_that_is_none_of_ours_is_said(text: str) -> None:
    store = MemoryStore()
    store.write(FILE, text)
    with pytest.raises(StateError, match=r"orders\.json"):
        Rest(store)
