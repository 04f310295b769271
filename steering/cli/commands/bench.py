"""`steering bench`: measures the cost of set-ups, decisions, memory and SYN delay, and reference values in the same
run."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

SUMMARY = "measure set-up, decision, memory and SYN delay; writes build/bench.json"
EXAMPLE: str = "steering bench --quick"
EXIT_USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options: what to measure, and for how long."""
    parser.add_argument(
        "--rounds",
        metavar="N",
        type=int,
        help="rounds of the set-up part (default 9), with --against of all parts (default 5)",
    )
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: a look, not a measurement")
    parser.add_argument(
        "--no-fast-path",
        dest="fast_path",
        action="store_false",
        help="a control: measure set-ups with a controller that handles every message the general way",
    )
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="measure that commit too, in interleaved rounds, and compare: each key's median and best of both, and their ratio; "
        "parts as --only says, or setup,decision,resync,memory; writes build/bench-against.json",
    )
    parser.add_argument(
        "--worse-than",
        metavar="RATIO",
        type=float,
        help="with --against: exit status 1 when something takes more than RATIO times the processor time (default 1.25)",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the results there (default build/bench.json of the checkout, bench.json here where there is none)",
    )
    parser.add_argument(
        "--only",
        metavar="PARTS",
        help="some of setup,syn,decision,selection,policy,memory,stalls,delay,workers (setup and syn are measured together)",
    )


def run(args: argparse.Namespace) -> int:
    """Returns 0, 1 when a part could not be measured, or 2 for wrong usage."""
    package = Path(__file__).resolve().parents[2]
    root = package.parent  # of a checkout
    if not (root / "tests" / "bench" / "suite.py").exists():
        # A checkout has links there, an installed package the files.
        root = package / "benchmarks"
        if args.against is not None:
            print("steering bench: --against compares commits: run it from a checkout", file=sys.stderr)
            return EXIT_USAGE
        args.json = args.json or "bench.json"
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    status: int = import_module("tests.bench.suite").run(args)
    return status
