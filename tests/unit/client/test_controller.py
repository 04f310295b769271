"""The Python client against the real northbound over HTTP."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from steering.cli import client
from steering.client import BadInput, NotFound, Rejected, SteeringClient, Unavailable
from steering.client.controller import is_agreed_on
from steering.northbound.resources.routes import ROUTES
from tests.support.fixed_view import TOKEN, FixedView, north
from tests.support.rest_server import serve
from tests.support.timed_requests import timed_requests

ROOT = Path(__file__).resolve().parents[3]


class Served:
    def __init__(self, url: str, hub: Any, token_file: str) -> None:
        self.hub = hub
        self.url = url
        self.controller = SteeringClient.at(url, token_file=token_file)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "token").write_text(TOKEN + "\n")
    the_north = north(FixedView(), heartbeat=0.05)
    for url in serve(the_north.application):
        yield Served(url, the_north.hub, str(tmp_path / "token"))


def test_answers_are_those_of_rest_with_path_query_and_body(served: Served) -> None:
    told = served.controller
    assert told.health()["status"] == "ok"
    assert told.mcps()["mcps"][0]["name"] == "core"
    assert len(told.sessions(limit=1)["sessions"]) == 1
    assert told.session("m-1")["id"] == "m-1"
    assert told.ports(switch="s1")["ports"][0]["name"] == "s1-eth1"
    asked = told.whatif({"source": "10.1.0.2", "destination": "10.9.0.2", "port": 443})
    assert asked["outcome"] == "proxy"
    assert told.put_policy("policy: 1\n", dry_run=True)["dry_run"] is True
    assert told.etag("policy")


def test_refusals_are_exceptions_of_their_own(served: Served, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        served.controller.session("m-none")
    with pytest.raises(Rejected) as rejected:
        served.controller.whatif({"source": "nowhere", "destination": "10.9.0.2", "port": 443})
    assert rejected.value.problem["errors"]
    with pytest.raises(BadInput):
        SteeringClient.at("http://192.0.2.1:8080", token_file=str(tmp_path / "token"))
    with pytest.raises(Unavailable):
        SteeringClient.at("http://127.0.0.1:1", token_file=str(tmp_path / "token"), timeout=1.0).health()


def test_how_long_is_waited_is_an_argument(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, what all controllers of a cell agree on first is waited for as long as commands wait."""
    timed = timed_requests(monkeypatch)
    patient = SteeringClient.at(served.url, token_file=str(tmp_path / "token"), timeout=33.0)
    for controller in (served.controller, patient):
        controller.health()
        controller.put_policy("policy: 1\n", dry_run=True)
    normal, long = client.TIMEOUT, client.AGREED_TIMEOUT
    assert timed == [("GET", normal), ("PUT", long), ("GET", 33.0), ("PUT", 33.0)]


@pytest.mark.parametrize(
    ("method", "path", "is_agreed"),
    [
        ("PUT", ["policy"], True),
        ("POST", ["policy", "rollback"], True),
        ("POST", ["mcps"], True),
        ("PUT", ["mcps", "core"], True),
        ("DELETE", ["mcps", "core"], True),
        ("GET", ["policy"], False),
        ("PUT", ["mcps", "core", "load"], False),
        ("POST", ["mcps", "core", "drain"], False),
        ("PUT", ["policy", "clock"], False),
        ("POST", ["whatif"], False),
    ],
)
def test_what_controllers_agree_on_is_waited_for_longer(
    method: str, path: list[str], is_agreed: bool
) -> None:
    assert is_agreed_on(method, path) is is_agreed


def test_a_controller_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unavailable, match="does not answer within"):
            SteeringClient.at(url, token_file=str(tmp_path / "token"), timeout=0.1).health()


def test_events_are_followed_and_go_on_after_the_one_that_was_seen(served: Served) -> None:
    def publish() -> None:
        for version in (7, 8):
            while not served.hub.streams:
                time.sleep(0.01)
            served.hub.publish("policy", {"version": version})
            served.hub.publish("alarm", {"alarm": "mcp-sick"})

    threading.Thread(target=publish, daemon=True).start()
    followed = served.controller.events(kinds={"policy"})
    first, second = islice(followed, 2)
    assert (first.data["version"], second.data["version"]) == (7, 8)
    followed.close()
    # Another one that saw the first gets what came after it, from what the controller keeps.
    (after,) = islice(served.controller.events(kinds={"policy"}, after=first.id), 1)
    assert after.id == second.id


def test_what_is_written_from_the_description_is_up_to_date_and_whole() -> None:
    done = subprocess.run(
        [sys.executable, "packaging/clientcode.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    methods = {route.name for route in ROUTES if hasattr(SteeringClient, route.name)}
    assert {route.name for route in ROUTES} - methods == {"metrics", "mcp_events"}, "not JSON, or by `events`"


def test_the_client_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import steering.client; "
        "print([m for m in ('pydantic', 'yaml', 'eventlet', 'os_ken', 'rich', 'networkx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
