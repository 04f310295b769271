"""`steering status`: the controller's health, its MCPs and what of the network is down."""

import argparse
from typing import Any

from steering.cli import client
from steering.cli.mcp import mcp_table
from steering.cli.wording import counted, duration

SUMMARY: str = "show the state of the running controller, its MCPs and the network"

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _show(controller, args.json))


def _show(controller: client.ControllerClient, as_json: bool) -> None:
    health, topology = controller.get("health"), controller.get("topology")
    mcps = controller.get("mcps")["mcps"]
    if as_json:
        client.print_json({"health": health, "mcps": mcps, "topology": topology})
        return
    for line in [*_health_lines(health, controller.url), *_topology_lines(topology)]:
        print(line)
    if mcps:
        print()
        print(mcp_table(mcps))


def _health_lines(health: Json, url: str) -> list[str]:
    switches = health["switches"]
    sessions = ", ".join(f"{count} {state}" for state, count in health["sessions"].items() if count)
    return [
        f"controller  {health['status']}, version {health['version']} at {url}, "
        f"up {duration(health['uptime_s'])}, policy version {health['policy_version']}",
        f"switches    {switches['connected']} of {switches['known']} connected",
        f"sessions    {sessions or 'none'}",
    ]


def _topology_lines(topology: Json) -> list[str]:
    links, attachments = topology["links"], topology["attachments"]
    lines = [
        f"network     {_up(links)} of {counted(len(links), 'link')} up, "
        f"{_up(attachments)} of {counted(len(attachments), 'attachment')} up, "
        f"{counted(len(topology['hosts']), 'host')} known"
    ]
    down = [f"switch {switch['name']}" for switch in topology["switches"] if not switch["connected"]]
    down += [f"link {link['a']} - {link['b']}" for link in links if not link["up"]]
    down += [f"{found['role']} {found['name']} ({found['port']})" for found in attachments if not found["up"]]
    refused = [
        f"{one['dpid']} ({one['reason']}, {counted(one['times'], 'time')})" for one in topology["refused"]
    ]
    if refused:
        lines.append(f"refused     switch {', switch '.join(refused)}")
    if down:
        lines.append(f"down        {'; '.join(down)}")
    return lines


def _up(things: list[Json]) -> int:
    return sum(1 for thing in things if thing["up"])
