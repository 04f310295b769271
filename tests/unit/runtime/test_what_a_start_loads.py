"""What costs a start processor time is loaded by those alone who use it."""

import json
import subprocess
import sys

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
OF_CONTROLLER = """
import json, sys, warnings
warnings.simplefilter("ignore")
from steering.runtime.hub import prepare
prepare()
from importlib import import_module
from steering.runtime.launcher import LONG_TO_LOAD
for name in LONG_TO_LOAD:
    import_module(name)
late = ("OpenSSL", "steering.cluster", "steering.store.etcd", "steering.openflow.roles", "steering.runtime.cluster", "networkx", "steering.northbound.openapi", "steering.runtime.http_aaa", "steering.runtime.radius",
    "opentelemetry", "requests", "steering.runtime.otlp", "steering.runtime.set_up_traces", "steering.openflow.traced_feed")
print(json.dumps([name for name in late if name in sys.modules]))
"""


def _told(code: str, *arguments: str) -> object:
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_a_command_that_asks_a_controller_loads_no_policy_language() -> None:
    asking = [command for command in COMMANDS if command not in LOCAL]
    assert _told(OF_COMMAND, *asking) == {command: [] for command in asking}


def test_a_controller_loads_late_what_few_sites_use() -> None:
    assert _told(OF_CONTROLLER) == []
