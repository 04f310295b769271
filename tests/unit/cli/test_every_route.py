"""Every route of the REST is reached by a command, or is here named as one for programs."""

import io
import json
import re
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

from steering.cli.main import main
from steering.northbound.auth.pseudonyms import pseudonym
from steering.northbound.resources.routes import ROUTES
from steering.store import credentials
from tests.support.fixed_answers import IMSI
from tests.support.fixed_view import TOKEN, FixedView, north
from tests.support.rest_server import serve

# What only programs ask: an MCP of itself, a collector, who reads a description. What `events` and `relay` follow as
# streams a command shows too, so they are not among them.
OF_PROGRAMS = {"load", "report_sessions", "openapi", "metrics"}

# FILE.*, WHO (a subscriber) and ID (a binding) are made by the test. What the controller answers does not matter here:
# it matters which resource is asked.
LINES = """
status
topology
topology layout
topology ports
sessions
sessions m-1
sessions m-1 --paths
sessions --abort m-1
explain d-1
whatif --from 10.1.0.2 --to 10.9.0.2 --port 443
events --count 1
events --mcp core --count 1
limits
cluster list
cluster drain b
cluster undrain b
cluster rebalance --dry-run
mcp list
mcp show core
mcp discovery
mcp drain core
mcp undrain core
mcp add FILE.mcp
mcp change FILE.mcp
mcp remove edge
access list
access set lte --type wlan
access offload lte wlan
link list
link set s1:3-s2:3 --weight 2
subscriber list
subscriber set WHO --allowed wlan
acl show
acl set FILE.acl
registry list
registry add 001019999999999
registry remove 0000
pairing list
pairing set cpe-1 10.1.0.2
binding list
binding add 22 --device cpe-1
binding renew ID
binding remove ID
pairing remove cpe-1
reservation list
reservation request --subscriber anna --mbit 1
reservation accept 0123456789abcdef
reservation renew 0123456789abcdef
reservation release 0123456789abcdef
policy show
policy show --version 3
policy apply FILE.policy
policy history
policy rollback 3
policy clock
policy clock --offset 60
mappings find 192.0.2.1 5000
mappings report core FILE.mappings
"""

FILES = {
    "FILE.mcp": "name: core\nport: s3:1\n",
    "FILE.acl": '{"entries": []}',
    "FILE.policy": "policy: 1\n",
    "FILE.mappings": "{}",
}


class Recording:
    """The real northbound, and which of its routes were asked. Every event stream gets an event, so that it ends."""

    def __init__(self) -> None:
        self.north = north(FixedView(), heartbeat=0.05)
        self.asked: set[str] = set()
        self._known = [
            (route.method, re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path)), route.name)
            for route in ROUTES
        ]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.asked |= {
            name
            for method, path, name in self._known
            if method == environ["REQUEST_METHOD"] and path.fullmatch(environ["PATH_INFO"])
        }
        answer = self.north.application(environ, start_response)
        if environ["PATH_INFO"].endswith("/events"):
            self.north.hub.publish("policy", {"version": 3})
        return answer


def ask(state_dir: Path, line: str) -> str:
    """Run a command line; what it prints."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()), suppress(SystemExit):
        main([*line.split(), "--state-dir", str(state_dir)])
    return out.getvalue()


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Of each command line the routes that it asks."""
    path = tmp_path_factory.mktemp("every")
    path.chmod(0o700)
    (path / "token").write_text(TOKEN + "\n")
    for name, text in FILES.items():
        (path / name).write_text(text)
    recording, found = Recording(), {}
    words = {"WHO": pseudonym(b"k" * 32, IMSI)} | {name: str(path / name) for name in FILES}
    for url in serve(recording):
        credentials.write_rest_url(path, url)
        for line in LINES.strip().splitlines():
            if line == "binding renew ID":
                words["ID"] = json.loads(ask(path, "binding --json"))["bindings"][0]["id"]
            recording.asked = set()
            ask(path, " ".join(words.get(word, word) for word in line.split()))
            found[line] = recording.asked
    return found


def test_every_command_line_asks_the_controller(reached: dict[str, set[str]]) -> None:
    assert [line for line, routes in reached.items() if not routes] == []


def test_every_route_has_a_command_or_is_named_as_one_of_programs(reached: dict[str, set[str]]) -> None:
    routes = {route.name for route in ROUTES}
    by_commands = set().union(*reached.values())
    assert routes - by_commands - OF_PROGRAMS == set(), "routes that no command reaches"
    assert by_commands & OF_PROGRAMS == set(), "a command reaches these: they are not of programs alone"
    assert OF_PROGRAMS <= routes, "no such routes any more"
