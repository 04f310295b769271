"""Connects the parts that make a controller a member of a cluster: etcd, coordination, the switches' roles, heartbeats.
Imported only with `--cluster`.

With one share, one controller decides, and the others stand by with their connections up. With several shares, each
controller decides for those that it owns (share_owners). A controller begins anew, in the same process, in two cases.
First, another controller has taken its switches over: then the switches hold newer sessions than this controller knows,
and a start reads them back. Second, another controller has changed the state that is kept in etcd.
"""

import hashlib
import logging
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from secrets import randbits
from ssl import SSLError
from time import monotonic, time
from typing import Any

from os_ken.lib import hub

from steering.cluster.cell import OWN
from steering.cluster.coordination import ClusterRefusal, Coordination
from steering.cluster.shares import share_name, share_of
from steering.cluster.switch_reach import unreached
from steering.cluster.usage_exchange import USAGE_PAGE
from steering.core.clustered_engine import ClusteredEngine
from steering.core.engine import Engine
from steering.core.inputs import Input
from steering.core.peer_facts import PeerLost, PeerUp
from steering.core.snapshots.peers import knows_its_sessions, peer_events, peers
from steering.core.snapshots.site import site
from steering.model.cluster import ClusterMember, ClusterStatus, ClusterUnreachable, ShareMove, ShareRole
from steering.model.ids import DatapathId
from steering.model.network import Site
from steering.model.standing_work import StandingWork, WorkFaults
from steering.openflow.peers.peer_traffic import PeerTraffic
from steering.openflow.peers.roles import OpenFlowRole, Roles
from steering.runtime.cluster.cell_store import etcd_gateway, share_secrets
from steering.runtime.cluster.cluster_policies import ClusterPolicies, outdates
from steering.runtime.cluster.cluster_usage import ClusterUsage
from steering.runtime.cluster.demotion import Demotion
from steering.runtime.cluster.kept_changes import KeptChanges
from steering.runtime.cluster.lost_members import LostMembers
from steering.runtime.cluster.peer_places import PeerCertificates, PeerPlace, PrivateSockets
from steering.runtime.cluster.peer_rest import PeerRest
from steering.runtime.cluster.peer_streams import PeerStreams
from steering.runtime.cluster.share_owners import ShareOwners, events_of
from steering.runtime.cluster.standby_turns import line_of, turn_of
from steering.runtime.settings import ClusterSettings, ListenAddress, Settings, SettingsError
from steering.store.etcd.access import EtcdError
from steering.store.etcd.etcd_store import EtcdStore
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import EtcdWatch, KeyChange
from steering.store.interface import StateError
from steering.wire.peer_messages import Hello

LOOK = 0.1  # seconds
SOON = 0.02  # seconds between checks whether a member whose stream ended is lost

log = logging.getLogger(__name__)


class Cluster:
    """This controller as a member of the cluster. `kept`: the store in etcd for state that all controllers share, such
    as lists, orders and policies. `begins_anew`: this controller has to start again. Raises SettingsError where it
    cannot become a member."""

    def __init__(self, settings: Settings, wanted: ClusterSettings) -> None:
        self.begins_anew = False
        self._started = monotonic()
        self._faults = WorkFaults()  # the controller's from `join` on
        self._is_stale = False  # whether others have changed the kept state since this controller read it
        self._wanted = wanted
        self._greenthreads: list[Any] = []
        self._named: Callable[[DatapathId], str] = lambda dpid: f"{dpid:016x}"
        gateway = etcd_gateway(wanted)
        secrets = Keys(gateway, f"/steering/{wanted.cell}/secret/")
        kept = Keys(gateway, f"/steering/{wanted.cell}/kept/")
        self.secrets, self.kept = EtcdStore(secrets), EtcdStore(kept)
        self._kept_watch = EtcdWatch(kept, "kept/")
        self._kept_keys = kept
        try:
            self._began_at = self._kept_revision()
        except EtcdError as error:
            raise SettingsError(f"--cluster: {error}") from None
        digest = hashlib.sha256(Path(settings.site).read_bytes())
        me = ClusterMember(wanted.name or socket.gethostname(), "", wanted.capacity)
        self._changes = KeptChanges(me.id, self.kept.wrote)
        keys = Keys(gateway, f"/steering/{wanted.cell}/cluster/")
        self.coordination = Coordination(
            keys,
            me,
            digest.hexdigest(),
            wanted.shares,
            levels=wanted.levels,
            starts_blind=wanted.sockets is None,
            changed=self._changed,
            has_taken=self._has_taken,
            is_in_doubt=lambda: self._lost_members.are_awaited,
            unreached=self._unreached,
        )
        self._usage_keys = Keys(gateway, f"/steering/{wanted.cell}/usage/", USAGE_PAGE)
        self._usage: ClusterUsage | None = None  # from `before` on
        self.policies = ClusterPolicies(kept, self.kept, keys, self.coordination, wanted.patience)
        self.several = wanted.shares > 1  # whether several controllers decide at once, each for its shares
        self.engine_type: type[Engine] = ClusteredEngine if self.several else Engine
        self.owners: ShareOwners | None = None
        self._demotion: Demotion | None = None
        self._app: Any = None  # the application, from `before` on
        self._engine: Engine | None = None  # set only where several controllers decide at once
        self.roles: Roles | None = None
        self.streams = streams = self._streams(Hello(me.id, randbits(32), digest.digest()))
        self._lost_members = LostMembers(
            self.coordination, (lambda name: 0.0) if streams is None else streams.heard_at
        )
        self._losing: Any = None  # the greenthread that finds out which members are lost
        self.rest = PeerRest(
            me.id,
            self._others,
            (lambda name, message: False) if self.streams is None else self.streams.say,
            (lambda name: 0) if self.streams is None else self.streams.version,
        )

    # ---- the start ------------------------------------------------------------------------------

    def share_secrets(self, state_dir: Path) -> None:
        """Write the cell's secrets to the state directory. Raises SettingsError."""
        try:
            share_secrets(self.secrets, state_dir)
        except StateError as error:
            raise SettingsError(f"--cluster: {error}") from None

    def check(self, site: Site) -> None:
        """Raises SettingsError for a site that several controllers cannot share."""
        if self.several and site.discover:
            raise SettingsError(
                "--cluster-shares, --workers: the site file has to name the links: what one controller sends to find "
                "them is none of another's"
            )

    def join(self, url: str, named: Callable[[DatapathId], str], faults: WorkFaults) -> None:
        """Become a member. `url`: the address of this controller's REST; `named` makes a switch's name; `faults` counts what nobody
        expected, from the first stream on. Raises SettingsError."""
        self._named, self._faults = named, faults
        stream = ""
        if self.streams is not None:
            self.streams.works = faults
        try:
            if self.streams is not None and self.streams.private is not None:
                self.streams.start_private()
            elif self.streams is not None and self._wanted.peers is not None:
                host = self._wanted.peers.host
                stream = str(ListenAddress(host, self.streams.start(host, self._wanted.peers.port)))
            self.coordination.me = self.coordination.me._replace(address=url, stream=stream)
            self.coordination.join()
            if not self.coordination.cell.members:
                self._began_at = (
                    self._kept_revision()
                )  # this controller itself wrote the keys since the start
        except OSError as error:
            raise SettingsError(f"--peer-listen: cannot listen there: {error.strerror}") from None
        except (ClusterRefusal, EtcdError) as error:
            raise SettingsError(f"--cluster: {error}") from None
        log.info("controller %s is a member of the cell", self.coordination.me.id)

    def _kept_revision(self) -> int:
        """etcd's current revision. Raises EtcdError."""
        return self._kept_keys.below("kept/", names_only=True).revision

    def before(self, app: Any) -> Roles:
        """Make the adapter that stands between the connections and the application from now on."""
        is_worker = self._wanted.sockets is not None
        self._app = app
        self.roles = Roles(app, self.coordination, self._stepped_down, is_only_way=is_worker)
        self._usage = ClusterUsage(self._usage_keys, self.coordination.me.id, app.engine, app.take)
        if self.several and self.streams is not None:
            streams, engine = self.streams, app.engine
            self._engine = engine
            self.owners = ShareOwners(
                self.coordination,
                lambda: site(engine).switches.values(),
                self.roles.obeying,
                app.heard,
                app.share(
                    lambda own, confirm, xids: PeerTraffic(
                        own, streams.tell, streams.flush, confirm, xids, app.heard
                    )
                ),
            )
        look = None if self.owners is None else self.owners.look
        back = None if self.owners is None else self.owners.taken_back
        self._demotion = Demotion(self.coordination, look, self._kept_revision, monotonic, hub.sleep, back)
        return self.roles

    def start(self, is_active: Any) -> None:
        """Be a member until `stop`."""
        assert self.roles is not None and self._usage is not None
        member = self.coordination
        works: tuple[tuple[Any, ...], ...] = (
            (StandingWork.FOLLOWING_CELL, member.follow),
            (StandingWork.MEMBERSHIP, member.live, hub.sleep),
            (StandingWork.SHARING, member.agree, hub.sleep),
            (StandingWork.ROLES, self.roles.run, is_active, hub.sleep),
            (StandingWork.FOLLOWING_KEPT, self._kept_watch.run, self._kept_changed),
            (StandingWork.FOLLOWING_POLICY, self.policies.follow),
            (StandingWork.AGREEING_POLICY, self.policies.look, hub.sleep),
            *self._usage.works,
        )
        self._greenthreads = [hub.spawn(self._faults.keep, work, hub.sleep, *run) for work, *run in works]

    def stop(self) -> None:
        self.coordination.leave()
        if self._usage is not None:
            self._usage.stop()
        self._kept_watch.stop()
        self.policies.stop()
        for one in (*self._greenthreads, self._losing):
            if one is not None:
                hub.kill(one)
        if self.streams is not None:
            self.streams.stop()

    # ---- as REST asks it ------------------------------------------------------------------------

    def decides(self) -> bool:
        """Whether this controller is the one that takes changes: the owner of the first share. It is not before it knows what the owner
        before has changed, which it would write over."""
        return self._owns_first() and not self._is_stale

    def _owns_first(self) -> bool:
        return self.coordination.duty_of(share_name(0)).role is ShareRole.OWNER

    def stands_by(self, dpid: DatapathId) -> bool:
        """Whether a switch is connected and another controller decides for it."""
        return self.roles is not None and self.roles.stands_by(dpid)

    def only_where_it_decides(self, changed: Callable[[], bool]) -> Callable[[], bool]:
        """A function that calls `changed`, and returns False on all controllers but the one that decides: only that one
        acts by a changed file."""
        return lambda: changed() and self.decides()

    def status(self) -> ClusterStatus:
        cell = self.coordination.cell
        roles = {} if self.roles is None else self.roles.roles()
        return ClusterStatus(
            self.coordination.me.id,
            self.coordination.reached,
            self.coordination.revision,
            tuple(cell.present()),
            tuple(sorted(cell.shares.items())),
            tuple((self._named(dpid), role.name.lower()) for dpid, role in sorted(roles.items())),
            self._events(),
            () if self._engine is None else peers(self._engine, self.streams.unread if self.streams else {}),
            cell.rebalance,
            tuple(sorted(self.streams.unread)) if self.streams else (),
            cell.gave_up,
            self.policies.seconds(),
            tuple(sorted(self.coordination.unheard.late)),
        )

    def _others(self) -> tuple[str, ...]:
        """The other controllers that may have sessions: the owners of shares. With several shares also all other present
        members, since a member that gives its last share up still has its sessions for a moment."""
        cell = self.coordination.cell
        found = {share.owner.controller for share in cell.shares.values()}
        if self.several:
            found |= {one.id for one in cell.present()}
        return tuple(sorted(found - {self.coordination.me.id, ""}))

    def _events(self) -> dict[str, int]:
        found = {} if self.roles is None else {one.value: count for one, count in self.roles.events.items()}
        found |= {f"rest-{one.value}": count for one, count in self.rest.failures.items()}
        found |= {one.value: count for one, count in self.policies.events().items()}
        if self._usage is not None:
            found |= {one.value: count for one, count in self._usage.events().items()}
        if self.streams is not None:
            found |= events_of(self.streams.faults, None if self.owners is None else self.owners.traffic)
        return found if self._engine is None else found | peer_events(self._engine)

    def drain(self, controller: str, draining: bool) -> None:
        try:
            self.coordination.drain(controller, draining)
        except EtcdError as error:
            raise ClusterUnreachable(str(error)) from None

    def rebalance(self, dry_run: bool) -> tuple[ShareMove, ...]:
        try:
            if not self.coordination.reached:
                raise ClusterUnreachable("etcd cannot be reached")
            return self.coordination.rebalance(dry_run)
        except EtcdError as error:
            raise ClusterUnreachable(str(error)) from None

    def _has_taken(self, share: str) -> bool:
        """Whether the connected switches of a share obey this controller, and this controller knows their sessions."""
        roles = {} if self.roles is None else self.roles.roles()
        obey = all(
            role is OpenFlowRole.MASTER
            for dpid, role in roles.items()
            if share_of(dpid, self._wanted.shares) == share
        )
        return obey and (self._engine is None or knows_its_sessions(self._engine))

    def _unreached(self) -> Collection[str]:
        """The shares of which no switch is reached. A worker reaches any switch, once it decides for it."""
        if self.roles is None or self._wanted.sockets is not None:
            return ()
        switches = site(self._app.engine).switches.values()
        return unreached(switches, self.roles.reached(), self._wanted.shares)

    # ---- what changes ---------------------------------------------------------------------------

    def _changed(self) -> None:
        """Members or duties may have changed. Before there is an application, nobody needs to know."""
        cell, first = self.coordination.cell, share_name(0)
        if first in cell.shares:
            self._changes.decided_by(cell.shares[first].owner.controller, cell.revisions.get(OWN + first, 0))
        if self.roles is None:
            return
        if self.streams is not None:
            places = {one.id: self._place_of(one) for one in cell.present()}
            self.streams.members({name: place for name, place in places.items() if place})
        if self.owners is not None:
            self.owners.look()
        self.roles.look()

    def _place_of(self, member: ClusterMember) -> PeerPlace:
        """Where a member listens for others; "" where it does not."""
        if self.streams is not None and self.streams.private is not None:
            return self.streams.private.place(member.id)
        return _endpoint(member.stream) if member.stream else ""

    def _stepped_down(self, dpid: DatapathId) -> None:
        """Another controller decides for a switch now."""
        assert self._demotion is not None
        if self._demotion.of(dpid):
            self._greenthreads.append(hub.spawn(self._settle_demotion, self._demotion))

    def _settle_demotion(self, demotion: Demotion) -> None:
        if demotion.wait():
            self.begins_anew = True

    def _kept_changed(self, changes: list[KeyChange]) -> None:
        """The state kept in etcd has changed. Who has not made the change itself has read the state before, and begins anew."""
        others = self._changes.of_others(changes, self._owns_first())
        if outdates(others, self._began_at) and not self._is_stale:
            self._is_stale = True
            self._greenthreads.append(hub.spawn(self._begin_anew_in_turn))

    def _begin_anew_in_turn(self) -> None:
        """Wait for this standby's turn, then begin anew. A standby that has to decide before its turn begins anew at
        once, because it must not decide with the old state."""
        me = self.coordination.me.id
        line = line_of(self.coordination.cell, me)
        due = turn_of(line.index(me), len(line), monotonic(), self._started, time())
        while monotonic() < due and not self._owns_first():
            hub.sleep(LOOK)
        log.info("what is kept has changed: this controller reads it anew")
        if self._demotion is not None:
            self._demotion.wait_for_etcd()
        self.begins_anew = True

    # ---- heartbeats -----------------------------------------------------------------------------

    def _streams(self, hello: Hello) -> PeerStreams | None:
        if self._wanted.sockets is not None:
            return PeerStreams(hello, PrivateSockets(self._wanted.sockets), self._heard, self._turn_over)
        files = self._wanted.peer_tls
        if files is None or files.client_ca is None:
            return None
        try:
            certificates = PeerCertificates(files.cert, files.key, files.client_ca)
            return PeerStreams(hello, certificates, self._heard, self._turn_over)
        except (OSError, SSLError) as error:
            why = getattr(error, "reason", None) or error.strerror or str(error)
            raise SettingsError(f"--peer-cert, --peer-key, --peer-ca: cannot be used: {why}") from None

    def _heard(self, given: Input) -> None:
        """A stream to a member has begun, brought a message, or ended. A member that was never reached is never reported
        as lost: a controller that cannot reach another from the beginning takes no switch from it."""
        if self.rest.takes(given):
            return
        if self.owners is not None:
            self.owners.heard(given)
        if isinstance(given, PeerUp):
            self._lost_members.found(given.name)
        elif isinstance(given, PeerLost):
            self._lost_members.ended(given.name, monotonic())
            if self._losing is None:
                self._losing = hub.spawn(self._lose)

    def _turn_over(self) -> None:
        """A read of a stream has been handled: what the engine wants to be sent after it leaves."""
        if self.owners is not None:
            self._app.settle(monotonic())

    def _lose(self) -> None:
        while self._lost_members.are_awaited:
            hub.sleep(SOON)
            with self._faults.turn(StandingWork.LOST_MEMBERS):
                self._lost_members.look(monotonic())
        self._losing = None


def _endpoint(stream: str) -> tuple[str, int]:
    host, _, port = stream.rpartition(":")
    return host.strip("[]"), int(port)
