"""Records become JSON in one place: every field under its name, in its order, and nothing of Python's own."""

import inspect
import json
from typing import Any, get_type_hints

import pytest

from steering.core.snapshots.view import EngineView
from steering.model import snapshot
from steering.model.network import McpType
from steering.model.snapshot import CountedLimit, FlowEnds, SubscriberSnapshot, SwitchCounts
from steering.northbound.schema.representation import JsonView, as_json
from steering.northbound.schema.view import View
from tests.support.sites import Driver
from tests.support.switched import Lab

RECORDS = [
    kind for _, kind in inspect.getmembers(snapshot, inspect.isclass) if kind.__module__ == snapshot.__name__
]


def test_a_record_is_an_object_with_its_fields_in_their_order() -> None:
    assert json.dumps(as_json(FlowEnds("10.1.0.2", 1, "10.9.0.2", 2))) == (
        '{"src": "10.1.0.2", "sport": 1, "dst": "10.9.0.2", "dport": 2}'
    )
    assert as_json([SwitchCounts(1, 2)]) == [{"connected": 1, "known": 2}]


def test_words_of_an_enumeration_are_text_also_as_names() -> None:
    told = as_json({McpType.ON_PATH: McpType.OFF_PATH})
    assert told == {"on-path": "off-path"} and {type(word) for pair in told.items() for word in pair} == {str}


def test_what_python_cannot_name_so_has_its_name_in_json() -> None:
    assert as_json(SubscriberSnapshot("a", "gold", (), {}))["class"] == "gold"
    assert as_json(CountedLimit("mcp", "core", 2, "policy", 7))["count"] == 7


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_has_types_and_cannot_be_changed(kind: Any) -> None:
    assert set(get_type_hints(kind)) == set(kind._fields)
    one = kind(*kind._fields)
    with pytest.raises(AttributeError):
        setattr(one, kind._fields[0], None)


def test_a_number_without_a_controller_names_no_session_of_a_cluster() -> None:
    lab = Lab()
    number = str(lab.session().id)
    view = JsonView(EngineView(lab.engine, lambda: lab.now, "0"), "c1")
    asked = (view.session, view.session_line, view.paths, view.decision)
    assert all(ask(f"c1:{number}")["id"] == f"c1:{number}" for ask in asked)
    assert view.session_number(f"c1:{number}") == int(number)
    assert view.session_id(int(number)) == f"c1:{number}"
    for name in (number, f"c2:{number}", f"c1:c1:{number}", ""):
        assert [ask(name) for ask in (*asked, view.aborted)] == [None] * 5
        assert view.session_number(name) == 0


def test_all_that_resources_ask_is_answered_as_json_data() -> None:
    driver = Driver()
    view: View = JsonView(EngineView(driver.engine, lambda: driver.now, "0"))
    for name in (
        "health",
        "status",
        "topology",
        "links",
        "mcps",
        "access_networks",
        "gateways",
        "clock",
        "limits",
    ):
        told = getattr(view, name)()
        assert json.loads(json.dumps(told)) == told, name
