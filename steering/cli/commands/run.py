"""`steering run`: runs the controller."""

import argparse
import os
import sys

from steering.model.mechanism import Mechanism
from steering.runtime.settings import (
    DEFAULT_LISTEN,
    DEFAULT_REST,
    DEFAULT_TRACES,
    LOG_LEVELS,
    MOST_TRACES,
    MOST_WORKERS,
    SettingsError,
    from_arguments,
)

SUMMARY = "run the controller until SIGTERM or Ctrl-C"
EXAMPLE: str = "steering run --site site.yaml --policy policy.yaml"
EXIT_USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a controller."""
    _add_switch_side(parser)
    _add_rest(parser)
    _add_tracing(parser)
    parser.add_argument("--state-dir", metavar="DIR", help="where token, discovery key and REST URL are kept")
    _add_workers(parser)
    _add_cluster(parser)
    _add_logging(parser)


def _add_switch_side(parser: argparse.ArgumentParser) -> None:
    """Add the options of the site, and of how switches connect."""
    parser.add_argument("--site", metavar="FILE", required=True, help="the site file: what is in the network")
    parser.add_argument("--policy", metavar="FILE", help="the policy file: what is wanted")
    parser.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        default=DEFAULT_LISTEN,
        help="where switches connect (default %(default)s)",
    )
    parser.add_argument(
        "--switch-cert", metavar="FILE", help="take switches by TLS only, with this certificate (PEM)"
    )
    parser.add_argument("--switch-key", metavar="FILE", help="the certificate's private key (PEM)")
    parser.add_argument(
        "--switch-ca",
        metavar="FILE",
        help="the CA of the switches' certificates (PEM); each names its switch, see switch_certificates",
    )
    parser.add_argument(
        "--switch-insecure",
        action="store_true",
        help="let --listen be an address that is not loopback, without TLS",
    )


def _add_rest(parser: argparse.ArgumentParser) -> None:
    """Add the options of the REST interface."""
    parser.add_argument(
        "--rest",
        metavar="ADDRESS:PORT",
        default=DEFAULT_REST,
        help="where the REST interface listens; port 0 is any free one (default %(default)s)",
    )
    parser.add_argument(
        "--rest-allow-remote",
        action="store_true",
        help="let --rest be an address that is not loopback, without TLS",
    )
    parser.add_argument("--rest-cert", metavar="FILE", help="serve REST by TLS with this certificate (PEM)")
    parser.add_argument("--rest-key", metavar="FILE", help="the certificate's private key (PEM)")
    parser.add_argument(
        "--rest-client-ca",
        metavar="FILE",
        help="mutual TLS: take only clients with a certificate of this CA (PEM)",
    )
    parser.add_argument(
        "--no-ui", action="store_true", help="serve no live page (/ui/) beside the REST interface"
    )


def _add_tracing(parser: argparse.ArgumentParser) -> None:
    """Add the option by which the policy file is watched, and the options for traces of set-ups."""
    parser.add_argument(
        "--watch", action="store_true", help="read the policy file again when it changes, as SIGHUP asks for"
    )
    parser.add_argument(
        "--otlp",
        metavar="URL",
        nargs="?",
        const="",
        help="send traces of set-ups by OTLP over HTTP to this collector, as http://127.0.0.1:4318; without URL to the one that "
        "OTEL_EXPORTER_OTLP_ENDPOINT names (needs steering[otel])",
    )
    parser.add_argument(
        "--otlp-rate",
        type=int,
        metavar="N",
        help=f"traces that begin in a second at most, from 1 to {MOST_TRACES} (default: {DEFAULT_TRACES})",
    )


def _add_logging(parser: argparse.ArgumentParser) -> None:
    """Add the options of the log, and the option that switches mechanisms off."""
    parser.add_argument("--log-json", action="store_true", help="log one JSON object a line")
    parser.add_argument(
        "--log-level", choices=LOG_LEVELS, default="info", help="log from this level on (default %(default)s)"
    )
    parser.add_argument(
        "--no-fast-path",
        dest="fast_path",
        action="store_false",
        help="read and handle every message the general way: the same answers, for more processor time",
    )
    parser.add_argument(
        "--disable",
        metavar="MECHANISM",
        action="append",
        default=[],
        help=f"switch a mechanism off, for negative controls in labs: {', '.join(Mechanism)}",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the option of several controllers on this machine (docs/cluster.rst)."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        default=1,
        help=f"run N controllers on this machine, which share the switches and need no etcd, from 1 to {MOST_WORKERS} "
        "(default %(default)s)",
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the options of a controller that is one of several (docs/cluster.rst)."""
    parser.add_argument(
        "--cluster",
        metavar="URL[,URL...]",
        help="be one of several controllers, which agree by this etcd, as http://10.0.0.1:2379",
    )
    parser.add_argument(
        "--cluster-name", metavar="ID", help="this controller's name (default: the machine's)"
    )
    parser.add_argument(
        "--cluster-cell", metavar="NAME", help="the controllers that are one (default: default)"
    )
    parser.add_argument(
        "--cluster-shares",
        type=int,
        metavar="N",
        help="shares of the switches, each of which has an owner; the same at all controllers (default: 1)",
    )
    parser.add_argument(
        "--cluster-capacity",
        type=int,
        metavar="N",
        help="this controller's part of the shares beside the others', a plain number (default: 1)",
    )
    parser.add_argument(
        "--cluster-level",
        choices=("always", "ordered"),
        help="move shares to level the load without being told to, or only where 'steering cluster rebalance' orders it; "
        "the same at all controllers (default: always)",
    )
    parser.add_argument(
        "--cluster-patience",
        type=float,
        metavar="SECONDS",
        help="in which every controller has to be prepared for a policy that is written at this one: else it comes into force "
        "nowhere (default: 5)",
    )
    parser.add_argument("--cluster-ca", metavar="FILE", help="the CA of etcd's certificates (PEM)")
    parser.add_argument("--cluster-cert", metavar="FILE", help="this controller's certificate at etcd (PEM)")
    parser.add_argument("--cluster-key", metavar="FILE", help="that certificate's private key (PEM)")
    parser.add_argument("--cluster-user", metavar="NAME", help="a user of etcd")
    parser.add_argument("--cluster-password-file", metavar="FILE", help="that user's password")
    parser.add_argument(
        "--peer-listen",
        metavar="ADDRESS:PORT",
        help="where other controllers reach this one: by their heartbeats a silent one is found in a third of a second",
    )
    parser.add_argument(
        "--peer-cert",
        metavar="FILE",
        help="this controller's certificate, which names it as --cluster-name does (PEM)",
    )
    parser.add_argument("--peer-key", metavar="FILE", help="that certificate's private key (PEM)")
    parser.add_argument(
        "--peer-ca", metavar="FILE", help="the CA of the controllers' certificates alone (PEM)"
    )


def run(args: argparse.Namespace) -> int:
    """Returns 0 when a signal ended the controller, or 2 when it could not start."""
    try:
        settings = from_arguments(args)
        if settings.workers > 1:
            from steering.runtime.workers.worker_settings import WORKER, worker_of

            if WORKER not in os.environ:
                from steering.runtime.workers.parent import run_workers

                return run_workers(settings)
            settings = worker_of(settings, os.environ)
    except SettingsError as error:
        print(f"steering run: {error}", file=sys.stderr)
        return EXIT_USAGE
    # Imported here, as this patches the standard library.
    from steering.runtime.launcher import launch

    return launch(settings)
