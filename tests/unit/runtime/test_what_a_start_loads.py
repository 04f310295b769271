"""What costs a start processor time is loaded by those alone who use it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steering.cli.main import COMMANDS

LOCAL = {
    "run",
    "check",
    "init",
    "lab",
    "decode",
    "relay",
    "connect",
    "bench",
}  # ask no controller, or not only

OF_COMMAND = """
import json, sys
from steering.cli.main import build_parser
loaded = {}
for command in sys.argv[1:]:
    build_parser(command)
    loaded[command] = [name for name in ("pydantic", "yaml", "eventlet", "networkx", "rich") if name in sys.modules]
print(json.dumps(loaded))
"""
# A command that asks a controller, up to its request, which nobody answers.
OF_REQUEST = """
import json, sys
before = set(sys.modules)
from steering.cli.main import main
status = main([sys.argv[1], "--url", "http://127.0.0.1:1", "--token-file", sys.argv[2]])
assert status == 1
print(json.dumps(sorted(set(sys.modules) - before)))
"""
OF_CONTROLLER = """
import json, sys, warnings
warnings.simplefilter("ignore")
from steering.runtime.hub import prepare
prepare()
from importlib import import_module
from steering.runtime.launcher import LONG_TO_LOAD
for name in LONG_TO_LOAD:
    import_module(name)
late = ("OpenSSL", "steering.cluster", "steering.store.etcd", "steering.openflow.peers.roles", "steering.runtime.cluster", "networkx", "steering.northbound.openapi", "steering.runtime.aaa.http_aaa", "steering.runtime.aaa.radius",
    "opentelemetry", "requests", "steering.runtime.traces.otlp", "steering.runtime.traces.set_up_traces", "steering.openflow.traced_feed")
print(json.dumps([name for name in late if name in sys.modules]))
"""
OF_NORTHBOUND = """
import json, sys
from tests.support.fixed_view import north
north()
print(json.dumps([name for name in ("steering.northbound.schema.answers", "steering.northbound.openapi") if name in sys.modules]))
"""
# A set-up and a server's SYN at the application itself. Counts calls of functions in files that only traces need.
CALLS_OF_TRACES = """
import json, sys, warnings
warnings.simplefilter("ignore")
from steering.runtime.hub import prepare
prepare()
from steering.core.inputs import SynAckSeen, SynSeen, Tick
from steering.openflow.app import SteeringApp
from tests.support.sites import SERVER, UE_LTE, Driver, answer, capable, handshake
driver, watch = Driver(), None
if sys.argv[1:] == ["traced"]:
    from steering.runtime.traces.set_up_traces import SetUpTraces
    from tests.support.traced_set_ups import WrittenTrace
    watch = SetUpTraces(driver.engine, driver.counters, WrittenTrace, 10)
app = SteeringApp(engine=driver.engine, counters=driver.counters, discovery=None, watch=watch)
files = ("traced_feed.py", "set_up_traces.py", "open_trace.py", "otlp.py", "snapshots/set_up.py")
calls = []
def called(frame, event, argument):
    if event == "call" and frame.f_code.co_filename.endswith(files):
        calls.append(frame.f_code.co_name)
opening, servers = capable(UE_LTE, 40_000), handshake(SERVER, 40_000, UE_LTE)
given = [SynSeen(1, 1, opening, Driver.frame(opening)), SynSeen(4, 1, servers, Driver.frame(servers)), Tick()]
sys.setprofile(called)
for one in given:
    app._give(one, driver.now)
sys.setprofile(None)
assert len(driver.table) == 1
print(json.dumps(len(calls)))
"""


def _told(code: str, *arguments: str) -> object:
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_a_command_that_asks_a_controller_loads_no_policy_language() -> None:
    asking = [command for command in COMMANDS if command not in LOCAL]
    assert _told(OF_COMMAND, *asking) == {command: [] for command in asking}


@pytest.mark.parametrize("command", ["status", "sessions", "mcp", "topology", "limits", "events"])
def test_a_command_that_asks_a_controller_loads_little(command: str, tmp_path: Path) -> None:
    """A start takes some 0.1 s of processor time; what it loads is counted here, as seconds are another machine's."""
    token = tmp_path / "token"
    token.write_text("a token\n")
    token.chmod(0o600)
    loaded = _told(OF_REQUEST, command, str(token))
    assert isinstance(loaded, list) and 20 < len(loaded) <= 80, loaded
    foreign = [
        name for name in loaded if name.partition(".")[0] not in {"steering", *sys.stdlib_module_names}
    ]
    assert not foreign, "what others wrote is not loaded for a request"


def test_a_controller_loads_late_what_few_sites_use() -> None:
    assert _told(OF_CONTROLLER) == []


def test_schemas_of_answers_are_made_where_somebody_asks_for_them() -> None:
    """The API's description, and a cluster, whose members look at each other's answers."""
    assert _told(OF_NORTHBOUND) == []


def test_a_set_up_that_nobody_traces_calls_nothing_of_traces() -> None:
    assert _told(CALLS_OF_TRACES) == 0
    traced = _told(CALLS_OF_TRACES, "traced")
    assert isinstance(traced, int) and traced > 10, "the count counts"
