"""`steering lab`: lists the Mininet labs of `topologies/`, runs one or all of them, and cleans up after them."""

import argparse
import json
import shutil
import signal
import sys
import textwrap
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import FrameType

SUMMARY = "run a lab: real hosts, MCPs and switches on this machine, checked from three sides"
EXAMPLE: str = "steering lab run off-path"

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
WIDEST = 100  # most columns of the list: longer lines are hard to read
NARROWEST = 20  # least columns of the list's texts, on however narrow a terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `list`, `run`, `all` and `clean`."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    listing = what.add_parser("list", help="the scenarios, and what each shows")
    listing.add_argument("--json", action="store_true", help="for programs")
    go = what.add_parser("run", help="run a scenario; status 0 if every check held, 1 if one failed")
    go.add_argument("name", metavar="NAME", help="a scenario (see list)")
    go.add_argument("--json", metavar="FILE", help="write the report there as JSON, - for standard output")
    go.add_argument("--cli", action="store_true", help="open Mininet's prompt on the network at the end")
    go.add_argument("--keep", action="store_true", help="keep captures and logs")
    go.add_argument(
        "--without",
        metavar="MECHANISM",
        action="append",
        default=[],
        help="negative control: run without a mechanism; the checks must then fail",
    )
    go.add_argument(
        "--seconds", metavar="N", type=float, default=0.0, help="instead of the scenario's own time"
    )
    go.add_argument(
        "--sessions", metavar="N", type=int, default=0, help="instead of the scenario's own number"
    )
    every = what.add_parser("all", help="run scenarios and their negative controls, print one table")
    every.add_argument("names", metavar="NAME", nargs="*", help="only these scenarios")
    every.add_argument("--json", metavar="FILE", help="write all results there as JSON")
    every.add_argument("--jobs", metavar="N", type=int, default=2, help="labs at a time, each isolated (2)")
    every.add_argument("--no-controls", action="store_true", help="leave the negative controls out")
    every.add_argument(
        "--keep", metavar="DIR", default="build/labs", help="reports, output and logs (build/labs)"
    )
    what.add_parser("clean", help="remove what labs left behind, and nothing else; ends one that runs")


def run(args: argparse.Namespace) -> int:
    """Returns 0, 1 when a check failed, or 2 for wrong usage or a machine that cannot run labs."""
    # Imported here, as only this command needs Mininet and the labs.
    from topologies import catalogue
    from topologies.kit import environment

    if args.what == "list":
        try:
            environment.require_mininet()
        except environment.NotReady as error:
            return _refuse(str(error))
        return _list(args.json)
    for name in {"run": [getattr(args, "name", "")], "all": getattr(args, "names", [])}.get(args.what, []):
        if name not in catalogue.MODULES:
            near = get_close_matches(name, catalogue.MODULES, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(catalogue.MODULES)}"
            return _refuse(f"no scenario '{name}': {hint}")
    if args.what == "all" and not 1 <= args.jobs <= 16:
        return _refuse("--jobs: from 1 to 16")
    if args.what == "run" and (problem := _bad_options(args)):
        return _refuse(problem)
    try:
        environment.require()
    except environment.NotReady as error:
        return _refuse(str(error))
    if args.what == "all":
        return _all(args)
    return _clean() if args.what == "clean" else _run(args)


def _refuse(text: str) -> int:
    print(f"steering lab: {text}", file=sys.stderr)
    return EXIT_USAGE


def _bad_options(args: argparse.Namespace) -> str | None:
    from topologies import catalogue

    known = list(catalogue.load(args.name).controls)
    for mechanism in args.without:
        if mechanism not in known:
            return f"--without {mechanism}: {args.name} has {', '.join(known) or 'no negative control'}"
    if not 0 <= args.seconds <= 3600:
        return "--seconds: from 1 to 3600"
    if not 0 <= args.sessions <= 2000:
        return "--sessions: from 1 to 2000"
    return None


def _list(as_json: bool) -> int:
    from topologies import catalogue

    scenarios = [catalogue.load(name) for name in catalogue.MODULES]
    if as_json:
        rows = [
            {
                "name": s.name,
                "figure": s.figure,
                "rows": list(s.rows),
                "summary": s.summary,
                "controls": dict(s.controls),
            }
            for s in scenarios
        ]
        print(json.dumps({"scenarios": rows}, indent=2))
        return 0
    columns = min(shutil.get_terminal_size().columns, WIDEST)
    beside = max(len(s.name) for s in scenarios) + 2
    for s in scenarios:
        told = textwrap.wrap(f"{s.summary} [{s.figure}]", max(NARROWEST, columns - beside))
        print(f"{s.name:<{beside}}" + ("\n" + " " * beside).join(told))
    return 0


def _run(args: argparse.Namespace) -> int:
    from topologies import catalogue
    from topologies.campaign import verdicts
    from topologies.kit import lab, records
    from topologies.kit.processes import LabError
    from topologies.kit.records import Busy
    from topologies.kit.report import Progress, Report
    from topologies.kit.scenario import Options

    scenario = catalogue.load(args.name)
    report = Report(scenario.name, scenario.figure, scenario.rows, lab.environment(), without=args.without)
    say = Progress()
    keep = records.Keep.ALL if args.keep else records.Keep.LOGS
    options = Options(say, tuple(args.without), args.seconds, args.sessions, args.cli, keep)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with records.lock():
            records.forget_logs()  # delete the logs of an earlier lab
        say(
            f"{scenario.name} ({scenario.figure}) on {report.environment['datapath']} datapath, "
            f"links: {report.environment['links']}"
        )
        scenario.run(options, report)
    except Busy as error:
        return _refuse(str(error))
    except LabError as error:
        report.expect(verdicts.BROKEN_LAB, False, "no trouble", error)
    except Exception as error:
        # The lab itself failed. The report keeps the checks until then, and the exception.
        traceback.print_exc()
        report.expect(verdicts.BROKEN_LAB, False, "no trouble", repr(error))
    except KeyboardInterrupt:
        say("interrupted; everything is taken down")
        return EXIT_INTERRUPTED
    verdict = verdicts.of_lab(report.document())
    if args.without:
        breaks = scenario.breaks.get(args.without[0]) if len(args.without) == 1 else None
        verdict = verdicts.of_control(report.document(), breaks)
    if verdict.good:
        records.forget_logs()
    elif records.LAST_LOGS.is_dir():
        say(f"logs and captures: {records.LAST_LOGS}")
    if args.json:
        report.write(args.json)
    if args.json != "-":
        print(report.text())
    return EXIT_FAILED if report.failed or not report.checks else 0


def _all(args: argparse.Namespace) -> int:
    from topologies import catalogue
    from topologies.campaign.runs import Attempts, Campaign
    from topologies.kit.report import Progress

    campaign = Campaign(Attempts(Path(args.keep)), Progress(), args.jobs)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        campaign.run(args.names or list(catalogue.MODULES), with_controls=not args.no_controls)
    except KeyboardInterrupt:
        campaign.say("interrupted; everything is taken down")
        return EXIT_INTERRUPTED
    if args.json:
        Path(args.json).write_text(json.dumps(campaign.document(), indent=2) + "\n")
    print(campaign.text())
    return 0 if campaign.passed else EXIT_FAILED


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _clean() -> int:
    from topologies.kit import records

    removed = records.clean()
    records.forget_logs()
    print("\n".join(removed) if removed else "nothing to clean")
    return 0
