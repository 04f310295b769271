"""Puts the controller together: files, engine, discovery, northbound. Only os-ken's part is elsewhere."""

import logging
import secrets
import sys
from dataclasses import replace
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from eventlet import tpool

from steering import __version__
from steering.core.counters import Counters
from steering.core.engine import Engine
from steering.core.snapshots.view import EngineView
from steering.model.control import PolicyText
from steering.model.mechanism import Mechanism
from steering.model.network import Site, occupied_ports
from steering.model.policy import DEFAULT_QUOTAS, Policy
from steering.model.standing_work import StandingWork
from steering.northbound.schema.representation import JsonView
from steering.openflow.discovery.link_discovery import HOLD, Discovery
from steering.policy import load_policy
from steering.policy.checks.unenforced_rules import unenforced
from steering.policy.checks.unserved_ports import unserved
from steering.runtime.aaa.authorisers import authorisers
from steering.runtime.http.rest import Rest
from steering.runtime.orders.declared_site import DeclaredSite, declare
from steering.runtime.orders.operator import FileWatch, Operator, keep_version
from steering.runtime.orders.registrar import Registrar
from steering.runtime.settings import Settings, SettingsError
from steering.runtime.state_keeper import Keeper
from steering.store.credentials import lldp_key
from steering.store.interface import StateError
from steering.store.policy_history import History
from steering.store.state_directory import StateDirectory, StateLock

log = logging.getLogger(__name__)


class StartError(Exception):
    """The controller cannot start. The reasons are on stderr already."""


class Controller:
    """One engine and its surroundings. `now` is its clock: seconds, monotonic."""

    def __init__(
        self,
        settings: Settings,
        declared: DeclaredSite,
        policy: Policy,
        policy_text: str,
        lock: StateLock,
        cluster: Any = None,
        collector: Any = None,
    ) -> None:
        """`cluster`: runtime.cluster.cluster.Cluster, None for one controller alone; `collector`:
        runtime.traces.otlp.TraceCollector, None where nobody wants traces."""
        self.settings = settings
        self.cluster = cluster
        self.lock = lock  # for as long as the controller lives
        self.counters = Counters()
        self.counters.work_faults.tell = _tell_fault
        site = declared.site
        shared = None if cluster is None else cluster.kept
        if cluster is None:
            history = History(StateDirectory(settings.state_dir, synced=True))
            version = keep_version(history, policy_text, "start", "started with", 1)
        else:
            version = cluster.policies.version
        text = PolicyText(version, policy_text)
        # 16 bits tell this run's rules from those of earlier ones.
        self.engine: Engine = (Engine if cluster is None else cluster.engine_type)(
            site,
            replace(policy, version=text.version),
            epoch=secrets.randbits(16),
            counters=self.counters,
            disabled=settings.disabled,
            elsewhere=(lambda dpid: False) if cluster is None else cluster.stands_by,
        )
        self.discovery = _discovery(settings, site)
        self.now = monotonic
        # runtime.traces.otlp.ExportedTraces
        self.traces: Any = None if collector is None else collector.traces(self.engine, self.counters)
        view = EngineView(self.engine, self.now, __version__)
        registrar = Registrar(declared, self.engine, self.discovery, tpool.execute)
        self.operator = Operator(
            self.engine, self.counters, registrar, view, settings.state_dir, self.now, text,
            shared, None if cluster is None else cluster.policies,
        )  # fmt: skip
        self.keeper = Keeper(
            self.engine, self.counters, settings.state_dir, self.now,
            # Another controller may have decided since: what this one kept is older than what the switches hold.
            Mechanism.KEEPING in settings.disabled or cluster is not None,
        )  # fmt: skip
        self.authorisers = authorisers(site.aaa)
        self.policy_file = FileWatch(settings.policy, settings.watch)
        asks = cluster is not None and Mechanism.PEER_REST not in settings.disabled
        self.rest = Rest(
            settings, JsonView(view, cluster.rest.name if asks else ""), self.operator, self.counters, self.now, cluster,
            shared, cluster.rest if asks else None,
        )  # fmt: skip
        if cluster is not None:
            cluster.policies.follow_with(self.operator)
            cluster.rest.answer = self.rest.for_peer
            cluster.join(self.rest.url, site.switch_name, self.counters.work_faults)


def _tell_fault(work: StandingWork, error: Exception) -> None:
    """Called for the first exception of a type in a work, while it is handled."""
    log.exception(
        "%s: an unexpected %s ended a turn; it goes on, and is not logged again", work, type(error).__name__
    )


def _discovery(settings: Settings, site: Site) -> Discovery | None:
    if not site.discover:
        return None
    attachments = occupied_ports(site)
    return Discovery(
        lldp_key(settings.state_dir),
        secrets.randbits(64),
        attachments,
        hold=inf if Mechanism.LINK_RETURN in settings.disabled else HOLD,
        link_ports=site.link_ports,
        named=frozenset(site.switches.values()),
    )


def assemble(settings: Settings) -> Controller:
    """The controller that `settings` describe. Raises StartError after printing every finding."""
    try:
        return _assemble(settings)
    except (StateError, SettingsError) as error:
        print(f"steering: {error}", file=sys.stderr)
        raise StartError from None


def _assemble(settings: Settings) -> Controller:
    """Make the controller. Raises StateError or SettingsError for a single fault, StartError after printing
    findings of the files."""
    store = StateDirectory(settings.state_dir)
    collector = None
    if settings.otlp is not None:
        from steering.runtime.traces.otlp import TraceCollector  # OpenTelemetry is nothing to those without

        collector = TraceCollector(settings)
    cluster = None
    if settings.cluster is not None:
        from steering.runtime.cluster.cluster import Cluster  # etcd is nothing to one controller alone

        cluster = Cluster(settings, settings.cluster)
    declared, findings = declare(settings.site, store if cluster is None else cluster.kept)
    policy: Policy | None = Policy(quotas=DEFAULT_QUOTAS)
    text = "policy: 1\n"
    in_force = None if cluster is None or declared is None else cluster.policies.at_start(declared.site)
    if in_force is not None:
        policy, text = in_force
    elif settings.policy is not None:
        policy, more = load_policy(settings.policy, None if declared is None else declared.site)
        findings = findings + [str(finding) for finding in more]
        if policy is not None:
            text = Path(settings.policy).read_text(encoding="utf-8")
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings or declared is None or policy is None:
        raise StartError
    for note in (*unenforced(policy, declared.site), *unserved(policy, declared.site)):
        log.warning("policy: %s", note)
    # Not before this line: a controller with findings must not take a running one's place.
    lock = StateLock(settings.state_dir)
    store.check()
    store.sweep()
    declared.keep_numbers()
    if cluster is not None:
        cluster.check(declared.site)
        cluster.share_secrets(settings.state_dir)
        policy, text = cluster.policies.begin_with(declared.site, policy, text)
    return Controller(settings, declared, policy, text, lock, cluster, collector)
