"""`steering init`: writes a site file from the switches that connect, and prints the commands to type at switches, hosts
and MCPs."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steering.cli import client
from steering.cli.site_commands import site_commands, switch_lines
from steering.cli.table import table
from steering.policy.site_draft import DraftError, DraftPort, read_answers, site_text
from steering.runtime.settings import DEFAULT_LISTEN, SettingsError, parse_endpoint

SUMMARY: str = "write a site file from the switches that connect"
EXAMPLE: str = "steering init --listen 0.0.0.0:6653 --answers answers.yaml --output site.yaml"

EXIT_FAILED = 1
EXIT_USAGE = 2
WAIT = 30.0  # seconds that switches are waited for
EXAMPLE_ANSWERS = """\
# Answers of `steering init`: what hangs at which port. A port is named as its switch names it, or SWITCH:PORT.
access_networks:
  - {name: lte, type: cellular, prefixes: [10.1.0.0/24], ports: [s1-eth1]}
  - {name: wlan, type: wlan, prefixes: [10.2.0.0/24], ports: [s2-eth1]}
gateways:
  - {name: internet, prefixes: [10.9.0.0/24], ports: [s4-eth1]}
mcps:
  - {name: core, port: s3-eth1, addresses: [10.8.0.2]}
"""

Json = dict[str, Any]
Answers = dict[str, list[Json]]
Names = dict[str, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        default=DEFAULT_LISTEN,
        help="where switches connect (default %(default)s)",
    )
    parser.add_argument(
        "--switches", metavar="N", type=int, help="wait for so many (default: until no more come)"
    )
    parser.add_argument(
        "--seconds", metavar="S", type=float, default=WAIT, help="wait at most so long (default %(default)g)"
    )
    parser.add_argument(
        "--from-controller", action="store_true", help="ask the controller that runs instead of listening"
    )
    parser.add_argument("--answers", metavar="FILE", help="what hangs at which port (default: it is asked)")
    parser.add_argument("--example", action="store_true", help="print an example of --answers, and end")
    parser.add_argument(
        "--output", metavar="FILE", help="write the site file there (default: standard output)"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Returns 0, 1 if no switch came or the file cannot be written, or 2 for answers that make no good site."""
    if args.example:
        print(EXAMPLE_ANSWERS, end="")
        return 0
    if args.from_controller:
        found: list[tuple[Names, list[DraftPort]]] = []
        status = client.ask(args, lambda controller: found.append(_of_controller(controller)))
        return status or _go_on(args, *found[0])
    try:
        listen = parse_endpoint(args.listen, "--listen")
    except SettingsError as error:
        return _refuse(str(error))
    from steering.runtime.introduction import SwitchReception  # imported here, as only this step needs it

    try:
        reception = SwitchReception(
            listen.host, listen.port, lambda line: print(f"not taken: {line}", file=sys.stderr)
        )
    except OSError as error:
        print(
            f"steering init: cannot listen on {listen} ({error.strerror}): if a controller runs there, "
            "give --from-controller",
            file=sys.stderr,
        )
        return EXIT_FAILED
    print(f"waiting for switches on {listen}, at most {args.seconds:g} s; on each:", file=sys.stderr)
    for line in switch_lines(["BRIDGE"], str(listen)):
        print(f"    {line}", file=sys.stderr)
    try:
        came = reception.wait(args.seconds, args.switches)
    finally:
        reception.close()
    names = switch_names([(one.bridge, one.dpid) for one in came])
    called = {dpid: name for name, dpid in names.items()}
    ports = [
        DraftPort(called[one.dpid], port.number, port.name, port.up) for one in came for port in one.ports
    ]
    return _go_on(args, names, ports)


def switch_names(came: Sequence[tuple[str, int]]) -> Names:
    """Names for datapath ids: the bridge's own name where no other bridge has it, else `s` and a number."""
    bridges = [bridge for bridge, _ in came]
    found: Names = {}
    for bridge, dpid in came:
        usable = (
            bridge.replace("-", "").replace("_", "").isalnum()
            and bridge.isascii()
            and bridges.count(bridge) == 1
        )
        found[bridge if usable else f"s{dpid}" if dpid < 1_000_000 else f"s{dpid:x}"] = dpid
    return found


def _of_controller(controller: client.ControllerClient) -> tuple[Names, list[DraftPort]]:
    names = {
        one["name"]: int(one["dpid"], 16)
        for one in controller.get("topology")["switches"]
        if one["connected"]
    }
    told = controller.get("ports")["ports"]
    ports = [
        DraftPort(one["switch"], int(one["port"].rsplit(":", 1)[1].split(".")[0]), one["name"], one["up"])
        for one in told
    ]
    return names, list(dict.fromkeys(ports))


def _go_on(args: argparse.Namespace, names: Names, ports: list[DraftPort]) -> int:
    """Make the site file and the commands from the known ports. Returns the exit status."""
    if not names:
        print("steering init: no switch connected", file=sys.stderr)
        return EXIT_FAILED
    _show(ports, sys.stderr)
    try:
        if args.answers is not None:
            answers = read_answers(_text_of(args.answers))
        elif sys.stdin.isatty():
            answers = ask_all(ports, _answered)
        else:
            print(
                "now say what hangs there: --answers FILE ('steering init --example' prints one)",
                file=sys.stderr,
            )
            return EXIT_USAGE
        text = site_text(answers, ports, names)
    except DraftError as error:
        return _refuse(str(error))
    from steering.policy import parse_site  # imported here: importing it takes as long as all the rest

    site, findings = parse_site(text, "the site")
    for finding in findings:
        print(finding, file=sys.stderr)
    if site is None or findings:
        return EXIT_USAGE
    return _write(
        args, text, list(site_commands(site, list(names), args.listen, args.output or "site.yaml")), names
    )


def _write(args: argparse.Namespace, text: str, told: list[str], names: Names) -> int:
    """Write the site file `text` and print `told`, the commands to type. Returns the exit status."""
    if args.json:
        print(json.dumps({"site": text, "switches": names, "next": told}, indent=2))
    if args.output is None:
        if not args.json:
            print(text, end="")
    else:
        try:
            with Path(args.output).open("w" if args.force else "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return _refuse(f"{args.output} is there already: choose another, or give --force")
        except OSError as error:
            print(f"steering init: {args.output}: {error.strerror}", file=sys.stderr)
            return EXIT_FAILED
        print(f"{args.output} is written and passes 'steering check'", file=sys.stderr)
    if not args.json:
        print("\n".join(["", *told]), file=sys.stderr)
    return 0


def _answered(question: str) -> str:
    """The line that somebody types. Raises DraftError at the end of the input (Ctrl-D)."""
    try:
        return input(question)
    except EOFError:
        raise DraftError("the answers end here: no site file is written") from None


def ask_all(ports: Sequence[DraftPort], ask: Callable[[str], str]) -> Answers:
    """Ask what is attached at each port that is up. `ask` shows a question and returns the line typed."""
    answers: Answers = {"access_networks": [], "gateways": [], "mcps": []}
    for port in ports:
        if not port.up:
            continue
        what = ask(
            f"{port.written} ({port.name or 'no name'}): [a]ccess, [g]ateway, [m]cp, or nothing? "
        ).strip()[:1]
        if what not in ("a", "g", "m"):
            continue
        name = ask("  its name: ").strip()
        if what == "m":
            addresses = ask("  its addresses: ").replace(",", " ").split()
            answers["mcps"].append({"name": name, "port": port.written, "addresses": addresses})
            continue
        item: Json = {"name": name}
        if what == "a":
            item["type"] = ask("  cellular, wlan, fixed, satellite or other? ").strip() or "other"
        item |= {"prefixes": ask("  its prefixes: ").replace(",", " ").split(), "ports": [port.written]}
        answers["access_networks" if what == "a" else "gateways"].append(item)
    return answers


def _show(ports: Sequence[DraftPort], stream: Any) -> None:
    print(
        table(["port", "name", "up"], [[one.written, one.name or None, one.up] for one in ports]), file=stream
    )


def _text_of(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DraftError(f"{path}: {getattr(error, 'strerror', None) or 'no text'}") from None


def _refuse(why: str) -> int:
    print(f"steering init: {why}", file=sys.stderr)
    return EXIT_USAGE
