"""`steering check`: prints all findings about a site file and a policy file, or a summary."""

import argparse
import json
import sys
from typing import Any

from steering.cli.progress import ProgressLine
from steering.model.network import Site, waypoints
from steering.model.policy import DEFAULT_QUOTAS, Policy
from steering.policy import Finding, load_policy, load_site
from steering.policy.checks.unenforced_rules import unenforced
from steering.policy.checks.unserved_ports import unserved

SUMMARY = "check a site file and a policy file; every finding with its line"
EXAMPLE: str = "steering check --site site.yaml --policy policy.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--site FILE [--policy FILE] [--json]`."""
    parser.add_argument("--site", metavar="FILE", required=True, help="the site file: what is in the network")
    parser.add_argument(
        "--policy", metavar="FILE", help="the policy file: what is wanted (default: the defaults)"
    )
    parser.add_argument("--json", action="store_true", help="findings and summary as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print a summary and return 0, or print all findings and return 2 (on stderr; with --json on stdout)."""
    with ProgressLine(f"reading {args.site}"):
        site, policy, findings = load_files(args.site, args.policy)
    summary = summary_of(site) if site is not None and not findings else None
    notes = unenforced(policy, site) if policy is not None else []
    if policy is not None and site is not None:
        notes += unserved(policy, site)
    if args.json:
        told = [f.as_json() for f in findings]
        print(json.dumps({"ok": not findings, "findings": told, "notes": notes, "summary": summary}))
        return 2 if findings else 0
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if print_findings(findings):
        return 2
    if summary is not None:
        print(_sentence(summary))
    return 0


def load_files(site_path: str, policy_path: str | None) -> tuple[Site | None, Policy | None, list[Finding]]:
    """Read both files. With any finding, neither file may be applied. Without a policy file the defaults count."""
    site, findings = load_site(site_path)
    policy: Policy | None = Policy(quotas=DEFAULT_QUOTAS)
    if policy_path is not None:
        policy, more = load_policy(policy_path, site)
        findings = findings + more
    return site, policy, findings


def print_findings(findings: list[Finding]) -> bool:
    """Print each finding on a line of stderr. Returns whether there are any."""
    for finding in findings:
        print(finding, file=sys.stderr)
    return bool(findings)


def summary_of(site: Site) -> dict[str, Any]:
    """{"access_networks", "gateways", "mcps", "links", "switches", "waypoints": counts, "discover"}."""
    return {
        "access_networks": len(site.access_networks),
        "gateways": len(site.gateways),
        "mcps": len(site.mcps),
        "switches": len(site.switches),
        "links": len(site.links),
        "waypoints": len(waypoints(site)),
        "discover": site.discover,
    }


def _sentence(summary: dict[str, Any]) -> str:
    parts = [
        _count(summary["access_networks"], "access network"),
        _count(summary["gateways"], "gateway"),
        _count(summary["mcps"], "MCP"),
        _count(summary["waypoints"], "waypoint"),
        _count(summary["switches"], "switch", "es"),
    ]
    links = _count(summary["links"], "link")
    return ", ".join(parts) + f"; {links}{', more to be discovered' if summary['discover'] else ''}"


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"
