"""`steering acl`: show the live access control list, or replace all of it (N-5.3).

The output of `show --json` holds the list's entity tag (`etag`). A file with an entity tag replaces only the list
with that tag. So no change of others is lost between `show --json > FILE`, an editor, and `set FILE`. A file without
an entity tag replaces whatever list is in force.
"""

import argparse
import json

from steering.cli import actions, client
from steering.cli.actions import Columns, Json, Subcommand, listed
from steering.cli.wording import counted
from steering.model.unique_keys import RepeatedKey, unique_keys

SUMMARY: str = "show the live access control list, or put another in its place"
EXAMPLE: str = "steering acl show --json"

ETAG = "etag"
COLUMNS = Columns(
    ["entry", "action", "source", "access", "destination", "port"],
    lambda one: [
        one["name"],
        one["action"],
        *(listed(one[part]) for part in ("source", "access", "destination", "port")),
    ],
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions.add_actions(
        parser,
        (
            Subcommand("show", "its entries, the first that matches decides; --json: as set takes it", _show),
            Subcommand("set", "put another list in force, whole and at once", _set, _file),
        ),
    )


run = actions.run


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help='JSON as \'steering acl show --json\' prints it: {"entries": [{"name": ..., "action": "deny", '
        '"source": [...]}]} ("-": stdin); its "etag", where it has one, is that of the list it replaces',
    )


def _show(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    # JSON output escapes control characters itself, and `set` needs the texts unchanged.
    found = controller.request("GET", ["acl"], verbatim={"entries"} if args.json else ())
    told = found.body | {ETAG: found.etag}
    actions.tell_all(args, told, "entries", COLUMNS, "no entry: the policy's own list decides")


def _set(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    wanted = _read(args.file)
    over, before = wanted.pop(ETAG, None), None
    if args.json or not over:
        before = controller.request("GET", ["acl"])
        over = over or before.etag
    if not isinstance(over, str) or not (over.isascii() and over.isprintable()):
        raise client.BadInput(f"{args.file}: etag: the one that 'steering acl show --json' printed is wanted")
    try:
        after = actions.send(controller, "PUT", ["acl"], wanted, over)
    except client.Rejected as rejected:
        raise client.BadInput(f"{args.file}: {client.first_error(rejected)}") from None
    line = f"{counted(len(after['entries']), 'entry', 'entries')} in force"
    actions.tell(args, after, line, before is None or after["entries"] != before.body["entries"])


def _read(file: str) -> Json:
    """The JSON object in a file. Raises BadInput."""
    from steering.policy.language.document import load_text  # imported here, as only `set` needs it

    text, findings = load_text("/dev/stdin" if file == "-" else file)
    if text is None:
        raise client.BadInput(str(findings[0]))
    try:
        wanted = json.loads(text, object_pairs_hook=unique_keys)
    except RepeatedKey as repeated:
        raise client.BadInput(f"{file}: {repeated}") from None
    except (ValueError, RecursionError) as error:
        raise client.BadInput(f"{file}: no JSON: {error}") from None
    if not isinstance(wanted, dict):
        raise client.BadInput(f'{file}: a JSON object with "entries" is wanted')
    return wanted
