"""`steering token`: lists, makes and revokes bearer tokens of REST, with their roles. It works on a file of the state
directory."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from steering.cli.table import table
from steering.cli.wording import when
from steering.runtime import tokens

SUMMARY: str = "add, list and revoke the bearer tokens of the REST"

HEADERS = ["id", "role", "MCP", "name", "created", "last use"]
ROLES = tuple(role.value for role in tokens.Role)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True, title="what to do")
    new = commands.add_parser("add", help="make a token; it is shown once and kept nowhere")
    new.add_argument("--role", choices=ROLES, required=True, help="what it may do")
    new.add_argument("--mcp", metavar="NAME", default="", help="the MCP that a token of role mcp is for")
    new.add_argument("--name", metavar="NAME", default="", help="a note on whose it is")
    back = commands.add_parser("revoke", help="take a token back, at once")
    back.add_argument("id", metavar="ID", help="as 'steering token list' shows it")
    for command in (new, commands.add_parser("list", help="the tokens there are, without the tokens"), back):
        command.add_argument("--json", action="store_true", help="print JSON for programs")
        command.add_argument(
            "--state-dir", metavar="DIR", help="the controller's state directory (default: as steering run's)"
        )


def run(args: argparse.Namespace) -> int:
    """Returns 0, 1 if the file cannot be used or there is no such token, or 2 for wrong usage."""
    state_dir = Path(args.state_dir) if args.state_dir else tokens.default_state_dir()
    _become_owner(state_dir)
    try:
        if args.what == "add":
            return _add(state_dir, args)
        return _list(state_dir, args.json) if args.what == "list" else _revoke(state_dir, args.id, args.json)
    except ValueError as error:
        print(f"steering token: {error}", file=sys.stderr)
        return 2
    except tokens.StateError as error:
        print(f"steering token: {error}", file=sys.stderr)
        return 1


def _become_owner(state_dir: Path) -> None:
    """As root work as the directory's owner: a controller that runs as another user could not read root's files."""
    try:
        owner = state_dir.stat()
    except OSError:
        return
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def _add(state_dir: Path, args: argparse.Namespace) -> int:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    number, token = tokens.add(state_dir, tokens.Role(args.role), args.name, args.mcp, created)
    if args.json:
        print(json.dumps({"id": number, "role": args.role, "mcp": args.mcp, "token": token}, indent=2))
    else:
        print(f"id     {number}\ntoken  {token}")
    return 0


def _list(state_dir: Path, as_json: bool) -> int:
    records = tokens.listed(state_dir)
    uses = tokens.read_uses(tokens.StateDirectory(state_dir))
    told = [
        (one.identity, one.created, when(uses[one.identity.id]) if one.identity.id in uses else None)
        for one in records
    ]
    if as_json:
        rows = [
            {
                "id": who.id,
                "role": who.role,
                "mcp": who.mcp,
                "name": who.name,
                "created": created,
                "last_use": used,
            }
            for who, created, used in told
        ]
        print(json.dumps({"tokens": rows}, indent=2))
    elif told:
        print(
            table(
                HEADERS,
                [
                    [who.id, who.role, who.mcp or None, who.name or None, created, used]
                    for who, created, used in told
                ],
            )
        )
    else:
        print("no token but the operator's own, which is in the file 'token' of the state directory")
    return 0


def _revoke(state_dir: Path, number: str, as_json: bool) -> int:
    if not tokens.revoke(state_dir, number):
        print(f"steering token: no token {number!r}; 'steering token list' lists them", file=sys.stderr)
        return 1
    print(json.dumps({"id": number}) if as_json else f"{number} is no token any more")
    return 0
