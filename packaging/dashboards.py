"""Writes the dashboards of ops/grafana. `--check` only tells whether they are up to date.

usage: python packaging/dashboards.py [--check]
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parents[1] / "ops" / "grafana"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT, ACROSS = 8, 7, 3  # a panel's width and height in Grafana's grid of 24 columns; panels in a row

Json = dict[str, Any]


class Panel(NamedTuple):
    """A panel: title, unit, and legend with PromQL expression for each line. `one`: shows only the last value, large."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    one: bool = False


OVERVIEW = (
    Panel("Sessions", "short", (("{{state}}", "steering_sessions"),)),
    Panel("Subflows", "short", (("subflows", "steering_subflows"),), True),
    Panel("Alarms", "short", (("{{kind}}", "steering_alarms > 0"),)),
    Panel("Set-ups a second", "ops", (("begun", "rate(steering_sessions_started_total[1m])"), ("ended", "rate(steering_sessions_ended_total[1m])"))),
    Panel("Switches", "short", (("connected", "steering_switches_connected"), ("known", "steering_switches_known"))),
    Panel("Sessions by MCP", "short", (("{{mcp}}", "steering_mcp_sessions"),)),
    Panel("Fallbacks by access", "percentunit", (
        ("{{access}}", "rate(steering_access_fallbacks_total[5m]) / rate(steering_access_first_answers_total[5m])"),
    )),
    Panel("Joins", "ops", (("{{result}}", "sum by (result) (rate(steering_joins_total[1m]))"),)),
    Panel("Refusals", "ops", (("{{reason}}", "sum by (reason) (rate(steering_refusals_total[1m])) > 0"),)),
)  # fmt: skip
MCP = (
    Panel("Sessions", "short", (("{{mcp}}", 'steering_mcp_sessions{mcp="$mcp"}'),)),
    Panel("Subflows", "short", (("{{mcp}}", 'steering_mcp_subflows{mcp="$mcp"}'),)),
    Panel("Reachable", "bool", (("{{mcp}}", 'steering_mcp_reachable{mcp="$mcp"}'),), True),
    Panel("First answers a second", "ops", (
        ("answers", 'rate(steering_mcp_first_answers_total{mcp="$mcp"}[5m])'),
        ("without MPTCP", 'rate(steering_mcp_fallbacks_total{mcp="$mcp"}[5m])'),
    )),
    Panel("Probes", "ops", (("{{answer}}", "sum by (answer) (rate(steering_probe_answers_total[1m]))"),)),
    Panel("Reports that were not believed", "ops", (("{{reason}}", 'rate(steering_session_reports_refused_total{mcp="$mcp"}[5m])'),)),
)  # fmt: skip
SESSIONS = (
    Panel("Sessions by state", "short", (("{{state}}", "steering_sessions"),)),
    Panel("Joins", "ops", (("{{result}}", "sum by (result) (rate(steering_joins_total[1m]))"),)),
    Panel("Refusals", "ops", (("{{reason}}", "sum by (reason) (rate(steering_refusals_total[1m])) > 0"),)),
    Panel("First answers by access", "ops", (("{{access}}", "rate(steering_access_first_answers_total[5m])"),)),
    Panel("Fallbacks by access", "ops", (("{{access}}", "rate(steering_access_fallbacks_total[5m])"),)),
    Panel("Left on their natural path", "ops", (("SYNs", "rate(steering_natural_syns_total[1m])"),)),
    Panel("Aborts", "ops", (("{{outcome}}", "sum by (outcome) (rate(steering_aborts_total[5m]))"),)),
    Panel("Copies that meters dropped", "ops", (("{{of}} {{access}}", "rate(steering_copies_lost_total[5m])"),)),
    Panel("Reservations", "ops", (("{{outcome}}", "sum by (outcome) (rate(steering_reservations_total[5m]))"),)),
)  # fmt: skip
CONTROLLER = (
    Panel("Decision, 99th percentile", "s", (("decision", "histogram_quantile(0.99, rate(steering_decision_seconds_bucket[5m]))"),)),
    Panel("REST, mean time", "s", (("answer", "rate(steering_http_request_seconds_sum[5m]) / rate(steering_http_request_seconds_count[5m])"),)),
    Panel("Stalls, 99th percentile", "s", (
        ("{{task}}", "histogram_quantile(0.99, sum by (le, task) (rate(steering_stall_seconds_bucket[5m])))"),
    )),
    Panel("Flow-mods a second", "ops", (("flow-mods", "rate(steering_flow_mods_total[1m])"),)),
    Panel("Packet-ins", "ops", (("{{class}}", "sum by (class) (rate(steering_packet_ins_total[1m]))"),)),
    Panel("OpenFlow errors", "ops", (("{{type}}", "sum by (type) (rate(steering_openflow_errors_total[5m])) > 0"),)),
    Panel("Switches lost", "ops", (("{{reason}}", "sum by (reason) (rate(steering_disconnects_total[5m])) > 0"),)),
    Panel("REST by status", "ops", (("{{code}}", "sum by (code) (rate(steering_http_requests_total[1m])) > 0"),)),
    Panel("Event streams", "short", (("open", "steering_event_streams"), ("dropped", "increase(steering_event_streams_dropped_total[5m])"))),
    Panel("Not kept", "short", (("{{reason}}", "increase(steering_state_refused_total[10m]) > 0"),)),
)  # fmt: skip
DASHBOARDS = {
    "overview": ("steering: overview", OVERVIEW, None),
    "mcp": ("steering: one MCP", MCP, "label_values(steering_mcp_sessions, mcp)"),
    "sessions": ("steering: sessions and refusals", SESSIONS, None),
    "controller": ("steering: the controller", CONTROLLER, None),
}


def _panel(number: int, panel: Panel) -> Json:
    at = {"x": number % ACROSS * WIDTH, "y": number // ACROSS * HEIGHT, "w": WIDTH, "h": HEIGHT}
    return {
        "id": number + 1,
        "type": "stat" if panel.one else "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + line), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for line, (legend, expression) in enumerate(panel.lines)
        ],
    }


def dashboard(name: str) -> Json:
    """A dashboard as Grafana imports it."""
    title, panels, query = DASHBOARDS[name]
    variables: list[Json] = [
        {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    ]
    if query is not None:
        variables.append(
            {
                "name": "mcp",
                "type": "query",
                "datasource": SOURCE,
                "query": query,
                "label": "MCP",
                "refresh": 2,
            }
        )
    return {
        "uid": f"steering-{name}",
        "title": title,
        "tags": ["steering"],
        "schemaVersion": 36,
        "version": 1,
        "editable": True,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "templating": {"list": variables},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def main() -> int:
    wanted = {FOLDER / f"{name}.json": json.dumps(dashboard(name), indent=1) + "\n" for name in DASHBOARDS}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.name} is out of date: python packaging/dashboards.py", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
