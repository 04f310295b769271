#!/bin/sh
# Makes the files beside it: the state directory as the controller of 0.1.0 (commit 0ea3e2c) wrote it, and what it told of
# it over REST (told.json). It runs that commit's code. It is run by hand; the test reads what it made.
# usage: tests/process/state-0.1.0/make.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git -C "$root" archive 0ea3e2c | tar -x -C "$old"
cat >"$old/make.py" <<'PY'
import json, shutil, subprocess, sys, time
from pathlib import Path
from tests.process.network import KEY, LTE_HOST, MP_CAPABLE_ANSWER, SERVER, SYN_ACK, Network
from tests.process.running import ROOT, SITE, environment
from tests.process.test_keeping import CAPACITIES
from tests.process.test_rest import ask, within
from steering.model.rules import PacketClass
from steering.northbound.pseudonyms import pseudonym
from steering.wire.craft import tcp_frame

here, work = Path(sys.argv[1]), Path(sys.argv[2])
FIRST = """policy: 1
timers: {sweep: 1}
logging: {mappings: on}
subscribers:
  - {id: home, prefixes: [10.1.0.0/30, 10.2.0.0/30]}
rules:
  - {name: ahead, when: {subscriber: home}, then: {insertion: proactive, pooling: {quota_bytes: {cellular: 100000}}}}
"""
EXTRA = {"name": "extra", "type": "off-path", "port": "s3:5", "interception": "steered", "addresses": ["10.8.1.2"],
         "source_mode": "transparent", "capacity": {"sessions": 100}}

def tell(running, method, path, body, *statuses, **more):
    answer = ask(running, method, path, body, **more)
    told = json.loads(answer.read())
    assert answer.status in (statuses or (200, 201, 202)), (method, path, answer.status, told)
    return told

network = Network(work, SITE + CAPACITIES)
(work / "policy.yaml").write_text(FIRST)
network.switches[3] = type(network.switches[3])(3, (1, 2, 3, 4, 5))
network.switches[3].neighbours |= {bytes((10, 8, 0, 2)): (1, b"\x0a\0\0\0\0\x08"), bytes((10, 8, 1, 2)): (5, b"\x0a\0\0\0\0\x18")}
with network:
    running = network.running
    made = {}
    for role, more in (("reader", ()), ("operator", ()), ("mcp", ("--mcp", "core")), ("device", ("--name", "cpe-1"))):
        done = subprocess.run([sys.executable, "-m", "steering", "token", "add", "--role", role, *more, "--json", "--state-dir",
                               str(running.state)], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
        made[role] = json.loads(done.stdout)
    within(10, lambda: json.loads(ask(running, "POST", "/v1/whatif", {"source": "10.1.0.2", "destination": "10.9.0.2", "port": 443}).read())["reason"] == "proactive")
    network.punt(3, 1, tcp_frame(SERVER, LTE_HOST, 443, 40_000, flags=SYN_ACK, ack=1, options=MP_CAPABLE_ANSWER), PacketClass.SYN_ACK)
    within(5, lambda: len(running.json("/v1/sessions")["sessions"]) == 1)
    (session,) = running.json("/v1/sessions")["sessions"]
    tell(running, "POST", "/v1/reservations", {"level": "session", "session": session["id"], "rate_bps": 5_000_000, "lease_s": 604800})
    time.sleep(2)
    proactive = running.json("/v1/sessions")["sessions"]
    early = here / "state-early"
    shutil.rmtree(early, ignore_errors=True)
    shutil.copytree(running.state, early, ignore=shutil.ignore_patterns("rest", "*.lock"))
    links = running.json("/v1/links")["links"]
    tell(running, "PUT", f"/v1/links/{links[0]['name']}", {"weight": 7.5}, If_Match="*")
    time.sleep(2)
    tell(running, "POST", "/v1/mcps", EXTRA)
    tell(running, "POST", "/v1/mcps/extra/drain", None)
    tell(running, "PUT", "/v1/access-networks/wlan", {"type": "fixed", "trust": "operator", "sequence": 9}, If_Match="*")
    home = pseudonym(bytes.fromhex((running.state / "pseudonym.key").read_text().strip()), "home")
    tell(running, "PUT", f"/v1/subscribers/{home}/access", {"preferred": ["fixed"], "sequence": 4})
    tell(running, "POST", "/v1/offload", {"from": "wlan", "to": "lte"})
    tell(running, "PUT", "/v1/acl", {"entries": [{"name": "no-telnet", "action": "deny", "destination": ["10.9.0.0/28"], "port": ["23"]}]}, If_Match="*")
    tell(running, "POST", "/v1/registry", {"subscriber": "anna", "addresses": ["10.1.0.2"]})
    tell(running, "POST", "/v1/registry", {"subscriber": "bert", "allowed": False})
    tell(running, "PUT", "/v1/pairings/cpe-1", {"addresses": ["10.1.0.2"]}, token=made["device"]["token"])
    binding = ask(running, "POST", "/v1/bindings", {"int_port": 8080, "lifetime_s": 86_400}, token=made["device"]["token"])
    assert binding.status == 201
    now = time.time()
    tell(running, "POST", "/v1/mcps/core/mappings", {"mappings": [{"internal": "10.1.0.2/32", "external": "10.8.0.2/32", "first_port": 1024, "last_port": 2047, "begin": now - 60}]}, token=made["mcp"]["token"])
    tell(running, "PUT", "/v1/policy", {"policy": 1, "subscribers": [{"id": "home", "prefixes": ["10.1.0.0/30", "10.2.0.0/30"]}],
         "timers": {"sweep": 1}, "logging": {"mappings": "on"}, "rules": [{"name": "later", "when": {"subscriber": "home"}, "then": {"insertion": "proactive"}}]}, If_Match="*")
    time.sleep(3)
    paths = ("access-networks", "acl", "registry", "pairings", "bindings", "links", "mcps", "policy/versions", "reservations", "sessions")
    told = {path: running.json(f"/v1/{path}") for path in paths}
    told["mappings"] = running.json("/v1/mappings?ip=10.8.0.2&port=1500")
    told["policy"] = json.loads(ask(running, "GET", "/v1/policy").read())
    time.sleep(2)
    running.kill()
    network.disconnect()
state = here / "state"
shutil.rmtree(state, ignore_errors=True)
shutil.copytree(running.state, state, ignore=shutil.ignore_patterns("rest", "*.lock"))
(here / "site.yaml").write_text((work / "site.yaml").read_text())
(here / "policy.yaml").write_text(FIRST)
(here / "told.json").write_text(json.dumps({"at": now, "tokens": made, "told": told, "early_sessions": proactive}, indent=1) + "\n")
PY
cd "$old"
mkdir work
PYTHONPATH=$old "$root/.venv/bin/python" make.py "$here" "$old/work"
find "$here/state" -type f
