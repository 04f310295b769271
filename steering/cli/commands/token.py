"""`steering token`: lists, makes and revokes bearer tokens of REST, with their roles. It works on a file of the state
directory."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steering.cli import state_dirs
from steering.cli.arguments import age
from steering.cli.client import STATE_DIR_HELP, WIDE
from steering.cli.table import narrow
from steering.cli.wording import when
from steering.runtime import tokens

SUMMARY: str = "add, list and revoke the bearer tokens of the REST"
EXAMPLE: str = "steering token add --role reader --name prometheus --expires 30d"

HEADERS = ["id", "role", "MCP", "name", "created", "last use", "expires"]
ONLY_WIDE = frozenset({"created"})
LONGEST = 3_650 * 86_400  # most seconds for which a token with an end may be valid
ROLES = tuple(role.value for role in tokens.Role)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True, title="what to do")
    new = commands.add_parser("add", help="make a token; it is shown once and kept nowhere")
    new.add_argument("--role", choices=ROLES, required=True, help="what it may do")
    new.add_argument("--mcp", metavar="NAME", default="", help="the MCP that a token of role mcp is for")
    new.add_argument("--name", metavar="NAME", default="", help="a note on whose it is")
    new.add_argument(
        "--address",
        metavar="PREFIX",
        action="append",
        default=[],
        help="an address or prefix that a token of role device may be paired with; may be given again (default: each address"
        " that no other device has)",
    )
    new.add_argument(
        "--expires",
        type=age,
        metavar="AGE",
        help="refuse it after this time, for example 12h or 30d (default: good until it is revoked)",
    )
    back = commands.add_parser("revoke", help="take a token back, at once")
    back.add_argument("id", metavar="ID", help="as 'steering token list' shows it")
    all_ = commands.add_parser("list", help="the tokens there are, without the tokens")
    all_.add_argument(
        "-o", dest="form", choices=(WIDE,), metavar="FORM", help="wide: a table with all columns"
    )
    for command in (new, all_, back):
        command.add_argument("--json", action="store_true", help="print JSON for programs")
        command.add_argument("--state-dir", metavar="DIR", help=STATE_DIR_HELP)


def run(args: argparse.Namespace) -> int:
    """Returns 0, 1 if the file cannot be used or there is no such token, or 2 for wrong usage."""
    state_dir = Path(args.state_dir) if args.state_dir else state_dirs.default_state_dir()
    _become_owner(state_dir)
    try:
        if args.what == "add":
            return _add(state_dir, args)
        return _list(state_dir, args) if args.what == "list" else _revoke(state_dir, args.id, args.json)
    except ValueError as error:
        print(f"steering token: {error}", file=sys.stderr)
        return 2
    except tokens.StateError as error:
        print(f"steering token: {error}", file=sys.stderr)
        return 1


def _become_owner(state_dir: Path) -> None:
    """Where root runs this, change to the directory's owner: a controller of another user could not read root's files."""
    try:
        owner = state_dir.stat()
    except OSError:
        return
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def _add(state_dir: Path, args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    expires = None
    if args.expires is not None:
        if not 1 <= args.expires <= LONGEST:
            raise ValueError(f"--expires: from 1s to {LONGEST // 86_400}d")
        expires = int(now.timestamp() + args.expires)
    created = now.isoformat(timespec="seconds")
    number, token = tokens.add(
        state_dir, tokens.Role(args.role), args.name, args.mcp, created, expires, args.address
    )
    until = None if expires is None else when(expires)
    if args.json:
        told = {
            "id": number,
            "role": args.role,
            "mcp": args.mcp,
            "expires": until,
            "token": token,
            "changed": True,
        }
        print(json.dumps(told, indent=2))
    else:
        print(f"id     {number}\ntoken  {token}" + (f"\nuntil  {until}" if until else ""))
    return 0


def _list(state_dir: Path, args: argparse.Namespace) -> int:
    records = tokens.listed(state_dir)
    uses = tokens.read_uses(tokens.StateDirectory(state_dir))
    now = datetime.now(UTC).timestamp()
    rows = [_row(one, uses.get(one.identity.id), now) for one in records]
    if args.json:
        print(json.dumps({"tokens": rows}, indent=2))
    elif rows:
        hidden = frozenset() if args.form == WIDE else ONLY_WIDE
        print(narrow(HEADERS, [_cells(row) for row in rows], hidden))
    else:
        print("no token but the operator's own, which is in the file 'token' of the state directory")
    return 0


def _row(record: tokens.TokenRecord, used: int | None, now: float) -> dict[str, Any]:
    """A token as JSON. `used`, `now`: seconds since 1970."""
    who = record.identity
    return {
        "id": who.id,
        "role": who.role,
        "mcp": who.mcp,
        "name": who.name,
        "created": record.created,
        "last_use": None if used is None else when(used),
        "expires": None if record.expires is None else when(record.expires),
        "expired": record.is_over(now),
        "addresses": list(map(str, who.addresses)),
    }


def _cells(row: dict[str, Any]) -> list[object]:
    """The cells of a row. Times are shown to the minute, so that the table fits 80 columns; JSON has the seconds."""
    times = [_minute(row[key]) for key in ("created", "last_use")]
    return [
        row["id"], row["role"], row["mcp"] or None, row["name"] or None, *times,
        "expired" if row["expired"] else _minute(row["expires"]),
    ]  # fmt: skip


def _minute(text: str | None) -> str | None:
    """RFC 3339 text in UTC, without its seconds."""
    return None if text is None else f"{text[:16]}Z"


def _revoke(state_dir: Path, number: str, as_json: bool) -> int:
    if not tokens.revoke(state_dir, number):
        print(f"steering token: no token {number!r}; 'steering token list' lists them", file=sys.stderr)
        return 1
    print(json.dumps({"id": number, "changed": True}) if as_json else f"{number} is no token any more")
    return 0
