"""docs/ holds what the schemas say."""

import re
import subprocess
import sys
from pathlib import Path

from webob import Request

from steering.relay.counters import RelayCounters
from steering.relay.observe.metrics import text as relay_text
from tests.support.fixed_view import TOKEN, served
from tests.support.standing_cluster import StandingCluster

ROOT = Path(__file__).parents[2]


def test_the_reference_is_up_to_date():
    done = subprocess.run(
        [sys.executable, "packaging/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run python packaging/reference.py: {done.stdout}{done.stderr}"


def test_every_parameter_of_a_request_has_its_sentence():
    """Those of a path are named by it."""
    text = (ROOT / "docs" / "api.rst").read_text()
    found = re.findall(r"^``([\w-]+)`` \((?:query|header)\)\n    (.+)$", text, re.MULTILINE)
    assert len(found) > 20
    assert not [(name, words) for name, words in found if not re.match(r"[A-Z1].*\w.*; ", words)]
    assert any("ISO" in words or "time with its zone" in words for name, words in found if name == "since")


def test_the_list_of_metrics_is_whole():
    """What a northbound serves and what a relay prints, against docs/metrics.rst; nothing else stands there."""
    text = (ROOT / "docs" / "metrics.rst").read_text()
    listed = set(re.findall(r"^``(steering_\w+)", text, re.MULTILINE))
    answer = Request.blank("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).get_response(
        served(cluster=StandingCluster())
    )
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)", answer.text, re.MULTILINE))
    relay = dict(
        re.findall(
            r"^# TYPE (\S+) (\w+)",
            relay_text({"counters": RelayCounters().as_dict(), "kernel": {"MPTcpExtMPJoinAckRx": 1}}),
            re.MULTILINE,
        )
    )
    wanted = {name for name, kind in kinds.items() if not name.endswith("_created")}
    assert len(wanted) > 50 and len(relay) > 20
    assert listed == wanted | set(relay)
    assert f"    {kinds['steering_decision_seconds']}. " in text
    assert "``reason``: " in text and "``expired-token``" in text
