"""`steering sharing`: who had an external address and port; bringing an MCP's mapping log to the controller."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from steering.cli import client

SUMMARY: str = "ask the controller who had a shared address and port, or bring it an MCP's mapping log"

BATCH = 500
Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    find = what.add_parser("find", help="who had it")
    find.add_argument("ip", metavar="ADDRESS", help="the external address")
    find.add_argument("port", metavar="PORT", type=int, help="the external port")
    find.add_argument("--time", metavar="SECONDS", type=float, help="since 1970 (default: now)")
    client.add_arguments(find)
    report = what.add_parser("report", help="send a relay's log, with the token of the MCP or an operator's")
    report.add_argument("mcp", metavar="MCP", help="whose log it is")
    report.add_argument("file", metavar="FILE", help="as steering relay --mapping-log writes it")
    client.add_arguments(report)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: (_find if args.what == "find" else _report)(controller, args))


def _find(controller: client.Controller, args: argparse.Namespace) -> None:
    found = controller.get("mappings", ip=args.ip, port=args.port, time=args.time)
    if args.json:
        client.print_json(found)
        return
    end = "goes on" if found["end"] is None else f"to {found['end']:.0f}"
    who = found["subscriber"] or "nobody the policy knows"
    print(f"{found['internal']} at {found['mcp']}, subscriber {who}")
    ports = f"ports {found['first_port']}-{found['last_port']}"
    print(f"{found['external']} {ports}, from {found['begin']:.0f}, {end}")


def _report(controller: client.Controller, args: argparse.Namespace) -> None:
    kept = 0
    for batch in _batches(_lines(args.file)):
        told = controller.request(
            "POST",
            ["mcps", args.mcp, "mappings"],
            body=json.dumps({"mappings": batch}).encode(),
            headers=client.JSON_BODY,
        )
        kept += told.body["kept"]
    if args.json:
        client.print_json({"kept": kept})
    else:
        print(f"{kept} mappings are kept")


def _lines(path: str) -> list[Json]:
    """Raises BadInput."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise client.BadInput(f"{path}: {error.strerror}") from None
    except ValueError:
        raise client.BadInput(f"{path} is no mapping log") from None


def _batches(lines: list[Json]) -> list[list[Json]]:
    return [lines[at : at + BATCH] for at in range(0, len(lines), BATCH)]
