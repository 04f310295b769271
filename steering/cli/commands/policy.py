"""`steering policy`: checks and compares policy files; shows, replaces and rolls back the policy of a running
controller.

`check`, and `diff` of two files, need no controller. All other actions ask it over REST.
"""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from steering.cli import client, clock
from steering.cli.progress import ProgressLine
from steering.cli.table import table

if TYPE_CHECKING:
    from steering.model.network import Site
    from steering.model.policy import Policy
    from steering.policy import Finding
    from steering.policy.rules.diff import PolicyChange

SUMMARY: str = "check, show, compare, apply and roll back the policy; the clock of its rules"
EXAMPLE: str = "steering policy diff policy.yaml"

HEADERS = ["version", "in force", "applied", "by", "comment", "digest"]
RUNNING = "(running)"  # the name of the controller's own text in findings and differences
MAX_VERSION = 999_999_999

Json = dict[str, Any]


class BadFiles(Exception):
    """Files have findings. The caller prints them one by one."""

    def __init__(self, findings: "list[Finding]") -> None:
        super().__init__(f"{len(findings)} findings")
        self.findings = findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add each action with its arguments."""
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True, title="what to do")
    check = commands.add_parser("check", help="every finding of policy files, with its line")
    check.add_argument("file", nargs="+", metavar="FILE", help="a policy file")
    check.add_argument("--json", action="store_true", help="findings as one JSON object")
    show = commands.add_parser("show", help="the text of the policy in force, or of an earlier version")
    show.add_argument("--version", type=_version, metavar="N", help="this version, as 'history' lists them")
    compare = commands.add_parser("diff", help="what a file would change, or what differs between two files")
    compare.add_argument("file", metavar="FILE", help="a policy file; with a second one the older of the two")
    compare.add_argument(
        "newer", nargs="?", metavar="NEWER", help="compare with this file, not with a controller"
    )
    put = commands.add_parser("apply", help="make a file the policy in force")
    put.add_argument("file", metavar="FILE", help="a policy file")
    put.add_argument("--dry-run", action="store_true", help="only say what the controller would do")
    put.add_argument(
        "--if-match", metavar="ETAG", help="only over this entity tag (default: the one in force)"
    )
    back = commands.add_parser("rollback", help="make an earlier version the policy in force again")
    back.add_argument("version", type=_version, metavar="N", help="the version, as 'history' lists them")
    history = commands.add_parser("history", help="the versions that were applied")
    clock.add_arguments(commands.add_parser("clock", help=clock.HELP, description=clock.HELP))
    for command in (check, compare, put):
        command.add_argument("--site", metavar="FILE", help="check against this site too")
    for command in (show, compare, put, back, history):
        client.add_arguments(command)


def run(args: argparse.Namespace) -> int:
    """Returns 0, 1 if the controller could not carry the action out, or 2 for a wrong file or argument."""
    if args.what == "check":
        return _check(args)
    if args.what == "diff" and args.newer is not None:
        return _of_files(args, lambda: _print_changes(_changes_of_files(args), args.json))
    with_controller: dict[str, Callable[[client.ControllerClient, argparse.Namespace], None]] = {
        "show": _show,
        "diff": _diff,
        "apply": _apply,
        "history": _history,
        "rollback": _rollback,
        "clock": clock.answer,
    }
    act = with_controller[args.what]
    return _of_files(args, lambda: client.ask(args, lambda controller: act(controller, args)))


def _version(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_VERSION:
        raise argparse.ArgumentTypeError(
            "the number of a version is wanted, as 'steering policy history' lists them"
        )
    return int(text)


# ---- files: readers of policies are imported late, so that `show` or `rollback` need not wait for them ---------


def _of_files(args: argparse.Namespace, act: Callable[[], int | None]) -> int:
    """Read the files before the controller is asked, then do `act`. With findings, print these and return 2."""
    try:
        args.site_read = _site(args)
        if "file" in args:
            args.text = _text(args.file)
            args.policy = _policy(args.text, args.file, args.site_read)
        return act() or 0
    except BadFiles as bad:
        if args.json:
            print(json.dumps({"ok": False, "findings": [f.as_json() for f in bad.findings]}))
        else:
            _print_findings(bad.findings)
        return 2


def _print_findings(findings: "list[Finding]") -> bool:
    from steering.cli.commands.check import print_findings

    return print_findings(findings)


def _site(args: argparse.Namespace) -> "Site | None":
    if getattr(args, "site", None) is None:
        return None
    from steering.policy import load_site

    site, findings = load_site(args.site)
    if findings:
        raise BadFiles(findings)
    return site


def _text(path: str) -> str:
    from steering.policy.language.document import load_text

    text, findings = load_text(path)
    if text is None:
        raise BadFiles(findings)
    return text


def _policy(text: str, name: str, site: "Site | None" = None) -> "Policy":
    from steering.policy import parse_policy

    policy, findings = parse_policy(text, name, site)
    if policy is None:
        raise BadFiles(findings)
    return policy


def _check(args: argparse.Namespace) -> int:
    from steering.policy import load_policy, load_site
    from steering.policy.checks.unenforced_rules import unenforced
    from steering.policy.checks.unserved_ports import unserved

    rules = 0
    notes: list[str] = []
    with ProgressLine("reading the site file") as progress:
        site, findings = load_site(args.site) if args.site is not None else (None, [])
        for path in args.file:
            progress.text = f"checking {path}"
            policy, more = load_policy(path, site)
            findings = findings + more
            if policy is not None:
                rules += len(policy.rules)
                about = unenforced(policy, site) + (unserved(policy, site) if site is not None else [])
                notes += [f"{path}: {note}" for note in about]
    for note in () if args.json else notes:
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        told = [f.as_json() for f in findings]
        print(json.dumps({"ok": not findings, "findings": told, "notes": notes}))
    elif not _print_findings(findings):
        files = f"{len(args.file)} files" if len(args.file) > 1 else args.file[0]
        print(f"{files}: no finding; {rules} rule{'' if rules == 1 else 's'}")
    return 2 if findings else 0


def _changes_of_files(args: argparse.Namespace) -> "list[PolicyChange]":
    from steering.policy.rules.diff import diff

    return diff(args.policy, _policy(_text(args.newer), args.newer, args.site_read))


def _print_changes(changes: "list[PolicyChange]", as_json: bool) -> None:
    if as_json:
        client.print_json({"changes": [change.as_json() for change in changes]})
    elif not changes:
        print("no difference")
    for change in () if as_json else changes:
        print(change)


# ---- the running controller --------------------------------------------------------------------


def _running(controller: client.ControllerClient) -> client.ControllerAnswer:
    return controller.request("GET", ["policy"], verbatim={"text"})


def _if_match(answer: client.ControllerAnswer) -> dict[str, str]:
    """The header by which a change is made only if the policy is still the one that was just read."""
    return {"If-Match": answer.etag} if answer.etag is not None else {}


def _show(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    if args.version is None:
        body = _running(controller).body
    else:
        body = controller.get("policy", "versions", str(args.version))
    if args.json:
        client.print_json(body)
        return
    lines = str(body["text"]).splitlines()
    print("\n".join("".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in lines))


def _diff(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    from steering.policy import parse_policy
    from steering.policy.rules.diff import diff

    running, findings = parse_policy(str(_running(controller).body["text"]), RUNNING)
    if running is None:
        raise client.Unavailable(f"the policy in force is none that this program can read: {findings[0]}")
    _print_changes(diff(running, args.policy), args.json)


def _apply(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    running = _running(controller)
    changes = _readable_changes(running.body, args.policy)
    given = {"If-Match": args.if_match} if args.if_match is not None else _if_match(running)
    changed = args.text != running.body["text"]
    # Where nothing changes, the policy is only checked: another version of the same text would push an older one out.
    only_checked = args.dry_run or (not changed and args.if_match is None)
    body = _change(
        controller,
        args,
        "PUT",
        ["policy"],
        args.text.encode(),
        {"Content-Type": "application/yaml", **given},
        {"dry_run": 1 if only_checked else None},
    )
    if only_checked and not args.dry_run and body["version"] != running.body["version"]:
        raise client.Unavailable(
            "the policy was changed meanwhile: 'steering policy diff' tells how; then try again"
        )
    if args.json:
        told = [change.as_json() for change in changes]
        client.print_json({**body, "dry_run": args.dry_run, "changes": told, "changed": changed})
        return
    for change in changes:
        print(change)
    done = "would be applied" if args.dry_run else f"is in force as version {body['version']}"
    print(f"{args.file} {done}; {len(changes)} change{'' if len(changes) == 1 else 's'}")


def _change(
    controller: client.ControllerClient,
    args: argparse.Namespace,
    method: str,
    path: list[str],
    data: bytes,
    headers: dict[str, str],
    query: dict[str, object] | None = None,
) -> Json:
    """Send a change of the policy. Where it is rejected, its findings are printed and Rejected is raised."""
    if controller.progress is not None:
        controller.progress.text = "waiting until the policy is checked and agreed on"
    try:
        return controller.request(
            method, path, body=data, headers=headers, query=query, patience=client.AGREED_TIMEOUT
        ).body
    except client.Rejected as rejected:
        _print_problem(rejected, args)
        raise
    except client.Outdated:
        raise client.Unavailable(
            "the policy was changed meanwhile: look at it with 'steering policy diff', then try again"
        ) from None


def _readable_changes(running: Json, wanted: "Policy") -> "list[PolicyChange]":
    """The changes from the running policy to `wanted`. Empty where this program cannot read the running policy, so that
    such a policy can still be replaced."""
    from steering.policy import parse_policy
    from steering.policy.rules.diff import diff

    policy, _ = parse_policy(str(running["text"]), RUNNING)
    return diff(policy, wanted) if policy is not None else []


def _print_problem(rejected: client.Rejected, args: argparse.Namespace) -> None:
    """Print the findings of the controller, which also checks the policy against its site. Line numbers refer to the text
    that was sent."""
    if args.json:
        client.print_json(rejected.problem)
        return
    file = getattr(args, "file", RUNNING)
    for item in rejected.problem.get("errors", []):
        line = f":{item['line']}" if item.get("line") is not None else ""
        hint = f" (did you mean '{item['suggestion']}'?)" if item.get("suggestion") else ""
        print(f"{file}{line}: {item['message']}{hint}", file=sys.stderr)


def _history(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    body = controller.get("policy", "versions")
    if args.json:
        client.print_json(body)
        return
    versions = body["versions"]
    if not versions:
        print("no policy was applied yet")
        return
    newest = max(item["version"] for item in versions)
    print(table(HEADERS, [_row(item, newest) for item in versions]))


def _row(item: Json, newest: int) -> list[object]:
    time = item.get("time")
    when = datetime.fromisoformat(time).astimezone(UTC) if time else None
    return [
        item["version"],
        item["version"] == newest,
        when and when.strftime("%Y-%m-%d %H:%M:%SZ"),
        item.get("who") or None,
        item.get("comment") or None,
        str(item.get("digest") or "-")[:12],
    ]


def _rollback(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    running = _running(controller)
    wanted = controller.request("GET", ["policy", "versions", str(args.version)], verbatim={"text"}).body
    changed = wanted["text"] != running.body["text"]
    body: Json = {"version": running.body["version"], "dry_run": False, "findings": []}
    if changed:
        data = json.dumps({"version": args.version}).encode()
        headers = {"Content-Type": "application/json", **_if_match(running)}
        body = _change(controller, args, "POST", ["policy", "rollback"], data, headers)
    if args.json:
        client.print_json({**body, "changed": changed})
    else:
        how = "again" if changed else "already"
        print(f"version {args.version} is in force {how}, as version {body['version']}")
