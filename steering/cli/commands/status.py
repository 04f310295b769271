"""`steering status`: shows the controller's health, its MCPs, and what the site expects but is missing.

The exit status is 1 when something is missing.
"""

import argparse
import time
from datetime import UTC, datetime
from typing import Any

from steering.cli import client
from steering.cli.commands.mcp import mcp_table
from steering.cli.wording import counted, duration

SUMMARY: str = "show the state of the running controller, its MCPs and what of the network is missing"
EXAMPLE: str = "steering status"
SHOWN = 40  # most lines about missing things

Json = dict[str, Any]

_WORDS = {"switch": "switches", "link": "links", "attachment": "attachments", "mcp": "MCPs"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    missing = 0

    def show(controller: client.ControllerClient) -> None:
        nonlocal missing
        missing = _show(controller, args.json)

    asked = client.ask(args, show)
    return asked or int(missing > 0)


def _show(controller: client.ControllerClient, as_json: bool) -> int:
    """Show the status. Returns how many things are missing."""
    health, topology, status = (controller.get(path) for path in ("health", "topology", "status"))
    mcps = controller.get("mcps")["mcps"]
    if as_json:
        client.print_json({"health": health, "mcps": mcps, "topology": topology, "status": status})
        return len(status["missing"])
    for line in [*_health_lines(health, controller.url), *_status_lines(status, topology)]:
        print(line)
    if mcps:
        print()
        print(mcp_table(mcps))
    return len(status["missing"])


def _health_lines(health: Json, url: str) -> list[str]:
    switches = health["switches"]
    sessions = ", ".join(f"{count} {state}" for state, count in health["sessions"].items() if count)
    return [
        f"controller  {health['status']}, version {health['version']} at {url}, "
        f"up {duration(health['uptime_s'])}, policy version {health['policy_version']}",
        f"switches    {switches['connected']} of {switches['known']} connected",
        f"sessions    {sessions or 'none'}",
    ]


def _status_lines(status: Json, topology: Json) -> list[str]:
    links, attachments = topology["links"], topology["attachments"]
    there = [f"{one['seen']} of {one['expected']} {_WORDS[one['kind']]}" for one in status["expected"]]
    lines = [
        f"network     {_up(links)} of {counted(len(links), 'link')} up, "
        f"{_up(attachments)} of {counted(len(attachments), 'attachment')} up, "
        f"{counted(len(topology['hosts']), 'host')} known",
        f"expected    {', '.join(there)} are there",
    ]
    refused = [
        f"{one['dpid']} ({one['reason']}, {counted(one['times'], 'time')})" for one in topology["refused"]
    ]
    if refused:
        lines.append(f"refused     switch {', switch '.join(refused)}")
    for one in status["unknown_switches"]:
        lines.append(f"unknown     switch {one['name']}: it is connected, and the site file does not name it")
    for one in status["alarms"][:SHOWN]:
        name = f"{one['alarm']} {one['name']}: {one['text']}"
        lines.append(f"alarm       {name}, for {duration(one['raised_s'])}")
    missing = status["missing"]
    lines += [f"missing     {_missing(one)}" for one in missing[:SHOWN]]
    if len(missing) > SHOWN:
        lines.append(f"missing     {len(missing) - SHOWN} more, all in --json")
    return lines


def _missing(one: Json) -> str:
    """A missing thing as a line: `link s1:2-s3:2, for 3m12s, since 30 Nov 12:04:11Z`."""
    where = f" ({one['port']})" if one["port"] else ""
    kind = "MCP" if one["kind"] == "mcp" else one["kind"]
    seconds = one["missing_s"]
    since = datetime.fromtimestamp(time.time() - seconds, UTC)
    until = "not seen since the controller started" if one["never_seen"] else f"since {since:%d %b %H:%M:%S}Z"
    return f"{kind} {one['name']}{where}, for {duration(seconds)}, {until}"


def _up(things: list[Json]) -> int:
    return sum(1 for thing in things if thing["up"])
