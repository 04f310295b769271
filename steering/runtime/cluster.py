"""A controller's part in a cluster, wired: etcd, coordination, the switches' roles. Imported only with `--cluster`.

One share holds all switches: one controller decides, the others stand by with their connections up. A controller that
was replaced begins anew as a standby, in the same process: what it knew of sessions is older than what the switches
hold, and a start reads them back.
"""

import hashlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from os_ken.lib import hub

from steering.cluster.coordination import ClusterRefusal, Coordination
from steering.model.cluster import ClusterMember, ClusterStatus, ClusterUnreachable, ShareRole
from steering.model.ids import DatapathId
from steering.openflow.roles import Roles
from steering.runtime.settings import ClusterSettings, Settings, SettingsError
from steering.store.credentials import LLDP_KEY_FILE, PSEUDONYM_KEY_FILE, lldp_key, pseudonym_key
from steering.store.etcd.access import EtcdAccess, EtcdError, parse_endpoints
from steering.store.etcd.etcd_store import EtcdStore
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Keys
from steering.store.interface import StateError
from steering.store.private_file import read_private
from steering.store.state_directory import StateDirectory

SHARES = 1  # of a cell
_SECRETS = {LLDP_KEY_FILE: lldp_key, PSEUDONYM_KEY_FILE: pseudonym_key}

log = logging.getLogger(__name__)


class Cluster:
    """This controller's part. `begins_anew`: another controller has taken its switches, so it has to start again.
    Raises SettingsError where it cannot take part."""

    def __init__(
        self, settings: Settings, wanted: ClusterSettings, named: Callable[[DatapathId], str]
    ) -> None:
        """`named`: a switch's name."""
        self._named = named
        self.begins_anew = False
        self._greenthreads: list[Any] = []
        gateway = EtcdGateway(_access(wanted))
        self.store = EtcdStore(Keys(gateway, f"/steering/{wanted.cell}/secret/"))
        me = ClusterMember(wanted.name or socket.gethostname(), "")
        self.coordination = Coordination(
            Keys(gateway, f"/steering/{wanted.cell}/cluster/"),
            me,
            hashlib.sha256(Path(settings.site).read_bytes()).hexdigest(),
            SHARES,
        )
        self.roles: Roles | None = None

    def share_secrets(self, state_dir: Path) -> None:
        """Have the cell's secrets in the state directory. Raises SettingsError."""
        try:
            share_secrets(self.store, state_dir)
        except StateError as error:
            raise SettingsError(f"--cluster: {error}") from None

    def join(self, url: str) -> None:
        """Become a member; `url`: of this controller's REST. Raises SettingsError."""
        self.coordination.me = self.coordination.me._replace(address=url)
        try:
            self.coordination.join()
        except (ClusterRefusal, EtcdError) as error:
            raise SettingsError(f"--cluster: {error}") from None
        log.info("controller %s is a member of the cell", self.coordination.me.id)

    def before(self, app: Any) -> Roles:
        """The adapter that stands before the application from now on."""
        self.roles = Roles(app, self.coordination, self._stepped_down)
        self.coordination.changed = self.roles.look
        return self.roles

    def start(self, is_active: Any) -> None:
        """Take part until `stop`."""
        assert self.roles is not None
        member = self.coordination
        self._greenthreads = [
            hub.spawn(member.follow),
            hub.spawn(member.live, hub.sleep),
            hub.spawn(member.agree, hub.sleep),
            hub.spawn(self.roles.run, is_active, hub.sleep),
        ]

    def stop(self) -> None:
        self.coordination.leave()
        for one in self._greenthreads:
            hub.kill(one)

    def decides(self) -> bool:
        """Whether this controller decides for any switch."""
        shares = self.coordination.cell.shares
        return any(self.coordination.duty_of(share).role is ShareRole.OWNER for share in shares)

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
            {} if self.roles is None else {event.value: count for event, count in self.roles.events.items()},
        )

    def drain(self, controller: str, draining: bool) -> None:
        try:
            self.coordination.drain(controller, draining)
        except EtcdError as error:
            raise ClusterUnreachable(str(error)) from None

    def _stepped_down(self, dpid: DatapathId) -> None:
        self.begins_anew = True


def share_secrets(store: EtcdStore, state_dir: Path) -> None:
    """Let all controllers of a cell have the keys of discovery and of pseudonyms: those of the first one. Raises
    StateError."""
    directory = StateDirectory(state_dir)
    for name, key_of in _SECRETS.items():
        own = key_of(state_dir).hex()
        store.create(name, own)
        shared = store.read(name)
        if shared is not None and shared != own:
            directory.write(name, shared)
            key_of(state_dir)  # refuses what is no key


def _access(wanted: ClusterSettings) -> EtcdAccess:
    """Raises SettingsError."""
    try:
        endpoints = parse_endpoints(wanted.etcd)
        password = read_private(Path(wanted.password_file)) if wanted.password_file else ""
    except (ValueError, StateError) as error:
        raise SettingsError(f"--cluster: {error}") from None
    except FileNotFoundError:
        raise SettingsError(f"--cluster-password-file: there is no {wanted.password_file}") from None
    return EtcdAccess(endpoints, wanted.ca, wanted.cert, wanted.key, wanted.user, password)
