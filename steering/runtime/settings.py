"""The settings of a controller: from the arguments of `steering run` or, under osken-manager, from STEERING_*
environment variables.

This module imports no module that uses sockets, because `steering run` patches the standard library later.
"""

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path

from steering.model.cluster import MOST_CAPACITY, MOST_SHARES, POLICY_PATIENCE
from steering.model.mechanism import Mechanism
from steering.store.state_directory import default_state_dir

LOG_LEVELS = ("debug", "info", "warning", "error")
DEFAULT_LISTEN = "127.0.0.1:6653"
DEFAULT_REST = "127.0.0.1:8080"
LEAST_PATIENCE, MOST_PATIENCE = (
    0.1,
    60.0,
)  # bounds of the seconds in which members have to be prepared for a policy
DEFAULT_TRACES, MOST_TRACES = 10, 100  # traces of set-ups that may begin in a second
MOST_WORKERS = 16
SWITCHES_SOCKET = "switches"  # in the folder of the workers' sockets: where the parent hands switches over
_CELL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


class SettingsError(Exception):
    """A setting that cannot be used; the message is one line."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An IP address and TCP port to listen on."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files in PEM: the certificate with its chain, its key, and the CA of clients' certificates. Without that CA, clients
    need no certificate."""

    cert: str
    key: str
    client_ca: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """The settings of a controller in a cluster. `etcd`: URLs, comma separated; `name`: this controller's name, "" for the
    machine's name; `cell`: the name that all controllers of the cluster share."""

    etcd: str
    name: str = ""
    cell: str = "default"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    user: str | None = None
    password_file: str | None = None
    peers: ListenAddress | None = None  # the address where other controllers reach this one
    peer_tls: TlsFiles | None = None
    shares: int = 1  # number of shares of the switches; for each share, one controller decides
    capacity: int = 1  # the work that this controller can take, relative to the others
    levels: bool = True  # whether load is moved between controllers without an operator's order
    patience: float = POLICY_PATIENCE
    # The folder of the sockets by which workers of one machine reach each other; then each switch has one connection.
    sockets: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    site: str
    policy: str | None  # None: the defaults of the policy
    listen: ListenAddress | None  # None: osken-manager's own options say
    rest: ListenAddress
    state_dir: Path
    disabled: frozenset[Mechanism] = frozenset()
    fast_path: bool = True  # whether usual messages take the fast path (openflow.fastpath)
    log_json: bool = False
    log_level: str = "info"
    rest_tls: TlsFiles | None = None
    switch_tls: TlsFiles | None = None
    switch_insecure: bool = False  # whether switches may connect from other machines without TLS
    page: bool = True  # whether REST serves the live page too
    watch: bool = False  # whether the policy file is read again when it changes
    cluster: ClusterSettings | None = None  # None: one controller alone
    otlp: str | None = (
        None  # URL of the collector of traces; "": as OpenTelemetry's environment says; None: no traces
    )
    otlp_rate: int = DEFAULT_TRACES
    workers: int = 1  # controllers on this machine that share the switches' port


def parse_endpoint(text: str, what: str, lowest_port: int = 1) -> ListenAddress:
    """Parse `ADDRESS:PORT` or `[IPV6]:PORT`. Raises SettingsError, whose message names the setting `what`."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        colon = ""
    if not colon or not (port.isascii() and port.isdigit()) or not lowest_port <= int(port) <= 65_535:
        raise SettingsError(f"{what}: '{text}' is not ADDRESS:PORT, for example {DEFAULT_LISTEN}")
    return ListenAddress(str(address), int(port))


def _rest_endpoint(text: str, remote_allowed: bool, tls: TlsFiles | None) -> ListenAddress:
    # Port 0 means any free port; the state directory says which one was taken.
    endpoint = parse_endpoint(text, "--rest", 0)
    if not endpoint.is_loopback and tls is None and not remote_allowed:
        raise SettingsError(
            f"--rest: {endpoint.host} can be reached from outside and there is no TLS: give --rest-cert and "
            "--rest-key, listen on a loopback address, or say --rest-allow-remote"
        )
    return endpoint


def check_listen(endpoint: ListenAddress, has_tls: bool, insecure: bool) -> None:
    """Raise SettingsError where the controller would listen for switches of other machines without TLS, unless the
    operator allowed it: anybody who reaches that port could claim to be a switch."""
    if not endpoint.is_loopback and not has_tls and not insecure:
        raise SettingsError(
            f"--listen: {endpoint.host} can be reached from outside and there is no TLS: give --switch-cert, "
            "--switch-key and --switch-ca, listen on a loopback address, or say --switch-insecure"
        )


def _switch_tls(cert: str | None, key: str | None, ca: str | None) -> TlsFiles | None:
    if cert and key and ca:
        return TlsFiles(cert, key, ca)
    if cert or key or ca:
        raise SettingsError("--switch-cert, --switch-key and --switch-ca go together")
    return None


def _tls(cert: str | None, key: str | None, client_ca: str | None) -> TlsFiles | None:
    if cert and key:
        return TlsFiles(cert, key, client_ca or None)
    if cert or key or client_ca:
        raise SettingsError("--rest-cert and --rest-key go together, --rest-client-ca with both")
    return None


def _mechanisms(words: list[str]) -> frozenset[Mechanism]:
    for word in words:
        if word not in list(Mechanism):
            nearest = get_close_matches(word, list(Mechanism), 1)
            meant = f"did you mean '{nearest[0]}'?" if nearest else f"there are {', '.join(Mechanism)}"
            raise SettingsError(f"no mechanism '{word}': {meant}")
    return frozenset(map(Mechanism, words))


def _cluster(args: argparse.Namespace) -> ClusterSettings | None:
    more = (
        args.cluster_name, args.cluster_cell, args.cluster_ca, args.cluster_cert, args.cluster_key, args.cluster_user,
        args.cluster_password_file, args.cluster_shares, args.cluster_capacity, args.cluster_level,
        args.cluster_patience,
    )  # fmt: skip
    peers = (args.peer_listen, args.peer_cert, args.peer_key, args.peer_ca)
    if args.cluster is None:
        if any(one is not None for one in (*more, *peers)):
            raise SettingsError("--cluster-... and --peer-... go with --cluster, which says where etcd is")
        return None
    name, cell, ca, cert, key, user, password, shares, capacity, level, patience = more
    if (cert is None) != (key is None):
        raise SettingsError("--cluster-cert and --cluster-key go together")
    if (user is None) != (password is None):
        raise SettingsError("--cluster-user and --cluster-password-file go together")
    if cell is not None and not _CELL.fullmatch(cell):
        raise SettingsError(f"--cluster-cell: '{cell}' is not a word of letters, digits, '-', '_' and '.'")
    if shares is not None and not 1 <= shares <= MOST_SHARES:
        raise SettingsError(f"--cluster-shares: from 1 to {MOST_SHARES}")
    if capacity is not None and not 1 <= capacity <= MOST_CAPACITY:
        raise SettingsError(f"--cluster-capacity: from 1 to {MOST_CAPACITY}")
    if patience is not None and not LEAST_PATIENCE <= patience <= MOST_PATIENCE:
        raise SettingsError(f"--cluster-patience: from {LEAST_PATIENCE:g} to {MOST_PATIENCE:g} seconds")
    found = ClusterSettings(
        args.cluster, name or "", cell or "default", ca, cert, key, user, password, shares=shares or 1,
        capacity=capacity or 1, levels=level != "ordered", patience=patience or POLICY_PATIENCE,
    )  # fmt: skip
    if not any(peers):
        if found.shares > 1:
            raise SettingsError(
                "--cluster-shares: owners of shares have to reach each other: give --peer-listen"
            )
        return found
    if not all(peers):
        raise SettingsError("--peer-listen, --peer-cert, --peer-key and --peer-ca go together")
    listen = parse_endpoint(args.peer_listen, "--peer-listen", 0)
    if ip_address(listen.host).is_unspecified:
        raise SettingsError("--peer-listen: name the address at which other controllers reach this one")
    return replace(found, peers=listen, peer_tls=TlsFiles(args.peer_cert, args.peer_key, args.peer_ca))


def _workers(args: argparse.Namespace, has_tls: bool) -> int:
    if args.workers == 1:
        return 1
    if not 1 < args.workers <= MOST_WORKERS:
        raise SettingsError(f"--workers: from 1 to {MOST_WORKERS}")
    if args.cluster is not None:
        raise SettingsError(
            "--workers: workers of several machines cannot be one cluster: leave --cluster out"
        )
    if has_tls:
        raise SettingsError(
            "--workers: a switch's connection by TLS cannot be handed to a worker: run one controller, or several "
            "with --cluster"
        )
    return int(args.workers)


def _collector(url: str | None) -> str | None:
    if not url:
        return url
    from urllib.parse import urlsplit  # imported here, as few controllers send traces

    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")  # as the resolver does: a name such as a..b has no form there
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment or url.split() != [url]:
        raise SettingsError(f"--otlp: '{url}' is no URL of a collector, for example http://127.0.0.1:4318")
    if parts.username is not None:
        raise SettingsError("--otlp: credentials do not go into the URL, but into OTEL_EXPORTER_OTLP_HEADERS")
    return url


def _traces(rate: int | None, url: str | None) -> int:
    if rate is None:
        return DEFAULT_TRACES
    if url is None:
        raise SettingsError("--otlp-rate goes with --otlp, which says where traces go")
    if not 1 <= rate <= MOST_TRACES:
        raise SettingsError(f"--otlp-rate: from 1 to {MOST_TRACES}")
    return rate


def from_arguments(args: argparse.Namespace) -> Settings:
    """The settings of `steering run`. Raises SettingsError."""
    tls = _tls(args.rest_cert, args.rest_key, args.rest_client_ca)
    switch_tls = _switch_tls(args.switch_cert, args.switch_key, args.switch_ca)
    listen = parse_endpoint(args.listen, "--listen")
    check_listen(listen, switch_tls is not None, args.switch_insecure)
    return Settings(
        site=args.site,
        policy=args.policy,
        listen=listen,
        rest=_rest_endpoint(args.rest, args.rest_allow_remote, tls),
        state_dir=Path(args.state_dir) if args.state_dir else default_state_dir(),
        disabled=_mechanisms(args.disable),
        fast_path=args.fast_path,
        log_json=args.log_json,
        log_level=args.log_level,
        watch=args.watch,
        rest_tls=tls,
        switch_tls=switch_tls,
        switch_insecure=args.switch_insecure,
        page=not args.no_ui,
        cluster=_cluster(args),
        otlp=_collector(args.otlp),
        otlp_rate=_traces(args.otlp_rate, args.otlp),
        workers=_workers(args, switch_tls is not None),
    )


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings under osken-manager: STEERING_SITE, and if wanted STEERING_POLICY, STEERING_REST,
    STEERING_REST_ALLOW_REMOTE=1, STEERING_REST_CERT, STEERING_REST_KEY, STEERING_REST_CLIENT_CA,
    STEERING_STATE_DIR, STEERING_NO_UI=1, STEERING_SWITCH_INSECURE=1, STEERING_OTLP (may be empty), STEERING_DISABLE (comma
    separated). Raises SettingsError."""
    site = environ.get("STEERING_SITE")
    if not site:
        raise SettingsError("STEERING_SITE is not set: it names the site file")
    state_dir = environ.get("STEERING_STATE_DIR")
    tls = _tls(*(environ.get(f"STEERING_REST_{name}") for name in ("CERT", "KEY", "CLIENT_CA")))
    return Settings(
        site=site,
        policy=environ.get("STEERING_POLICY") or None,
        listen=None,
        rest=_rest_endpoint(
            environ.get("STEERING_REST", DEFAULT_REST), environ.get("STEERING_REST_ALLOW_REMOTE") == "1", tls
        ),
        state_dir=Path(state_dir) if state_dir else default_state_dir(),
        disabled=_mechanisms([word for word in environ.get("STEERING_DISABLE", "").split(",") if word]),
        rest_tls=tls,
        switch_insecure=environ.get("STEERING_SWITCH_INSECURE") == "1",
        page=environ.get("STEERING_NO_UI") != "1",
        otlp=_collector(environ.get("STEERING_OTLP")),
    )
