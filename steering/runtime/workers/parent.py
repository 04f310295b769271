"""The parent of several workers: `steering run --workers N`."""

import logging
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from time import monotonic

from steering.cluster.cell import GENERATION, MEMBER, OWN, read_assignment
from steering.cluster.policy_records import POLICY
from steering.cluster.shares import share_name, share_of, worker_names
from steering.model.ids import DatapathId
from steering.openflow.connection.descriptors import raise_descriptors
from steering.openflow.connection.handover import HandedConnection
from steering.relay.service_manager import ServiceManager
from steering.runtime import logs
from steering.runtime.settings import SWITCHES_SOCKET, Settings, SettingsError
from steering.runtime.workers.descriptor_loop import DescriptorLoop
from steering.runtime.workers.switch_door import SwitchDoor, listening
from steering.runtime.workers.worker_posts import WorkerPosts
from steering.runtime.workers.worker_process import WorkerProcess
from steering.runtime.workers.worker_settings import CELL, STATE, STORE, place_of
from steering.store import link_weights, numbers, orders, port_bindings
from steering.store.etcd.access import EtcdAccess, EtcdEndpoint
from steering.store.etcd.etcd_store import EtcdStore
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.gateway_server import GatewayServer
from steering.store.etcd.kept_keys import KeyFolder
from steering.store.etcd.keys import Keys
from steering.store.etcd.small_etcd import SmallEtcd
from steering.store.interface import StateError
from steering.store.lists import ACL, PAIRINGS, REGISTRY
from steering.store.policy_history import FOLDER
from steering.store.state_directory import StateDirectory, StateLock, prepare

LOOK = 0.1  # seconds between two looks at everything
LEVEL_WITHIN = 15.0  # seconds for which switches wait until every worker has its share
TOLD = 1.0  # seconds between two reports of connections that ended here
FROZEN = 3.0  # seconds without a lease after which a worker that took switches counts as frozen
ENDED_WITHIN = 15.0  # seconds that a worker has to end
EXIT_FAILED = 1
EXIT_USAGE = (
    2  # a file or an option is wrong: another start would not help, so the service manager does not try
)
_CELL = f"/steering/{CELL}"
_CLUSTER = f"{_CELL}/cluster/"
_ADOPTING = "adopting"  # a file that exists until all orders of an earlier single controller are taken over
# What ClusterPolicies and its EtcdStore write.
_POLICIES = tuple(f"{_CELL}/kept/{one}" for one in (POLICY, f"kept/{FOLDER}/", f"chunks/{FOLDER}/"))

# What operators and MCPs have a controller keep, besides policies.
ORDERS = (ACL, REGISTRY, PAIRINGS, link_weights.FILE, numbers.NAME, orders.FILE, port_bindings.FILE)

log = logging.getLogger(__name__)


def run_workers(settings: Settings) -> int:
    """Run workers until a signal, and return the exit status: 0; 2 if the workers cannot start, with the reason on stderr; 1 if a worker
    was killed while it started."""
    logs.set_up(settings.log_level, settings.log_json)
    raise_descriptors()
    try:
        parent = WorkersParent(settings)
    except (StateError, SettingsError) as error:
        print(f"steering: {error}", file=sys.stderr)
        return EXIT_USAGE
    return parent.run()


def outlives(key: str) -> bool:
    """Whether a key of the workers' cell outlives the parent. These are orders of operators, secrets, and the last generation that was
    granted, because no later parent may grant it again. Members and shares begin anew. So do policies: at a start `--policy` counts, as
    for a single controller."""
    if key.startswith(_POLICIES):
        return False
    return key.startswith((f"{_CELL}/kept/", f"{_CELL}/secret/")) or key == _CLUSTER + GENERATION


class WorkersParent:
    """Raises StateError or SettingsError where it cannot start."""

    def __init__(self, settings: Settings) -> None:
        assert settings.listen is not None
        self._settings = settings
        state = settings.state_dir / STATE
        prepare(settings.state_dir)
        self._lock = StateLock(state)
        keys = KeyFolder(StateDirectory(state, synced=True), outlives)
        self.store = SmallEtcd(keys.keep)
        self.store.load(keys.load())
        try:
            port = listening(settings.listen.host, settings.listen.port)
        except OSError as error:
            raise SettingsError(f"--listen: cannot listen on {settings.listen}: {error.strerror}") from None
        self._loop = DescriptorLoop()
        self._make_sockets()
        self._door = SwitchDoor(port, self._loop, self._hand)
        self._workers = [
            WorkerProcess(name, place_of(number, self._sockets))
            for number, name in enumerate(worker_names(settings.workers), 1)
        ]
        self._stopped = False
        self._status = 0
        self._began = self._ready = False
        self._level_at = 0.0  # the time from which on switches do not wait for shares any more
        self._told_at = 0.0
        self._gone_since: dict[
            str, float
        ] = {}  # workers that took switches and have no lease, and since when
        self._seen: set[str] = set()  # workers that have taken switches
        self._to_hup: set[str] = set()  # workers that have to get a SIGHUP

    def _make_sockets(self) -> None:
        """Make the sockets at which workers connect. Only this user may enter their folder. Raises SettingsError."""
        try:
            self._sockets = Path(tempfile.mkdtemp(prefix="steering-"))
        except OSError as error:
            raise SettingsError(f"--workers: no folder for sockets can be made: {error.strerror}") from None
        try:
            self._server = GatewayServer(self._sockets / STORE, self.store)
            self._posts = WorkerPosts(self._sockets / SWITCHES_SOCKET, self._loop, self._name_of)
        except OSError as error:  # a socket's path has some 100 bytes at most
            shutil.rmtree(self._sockets, ignore_errors=True)
            why = error.strerror or str(error)
            raise SettingsError(
                f"--workers: no socket can be made in {self._sockets}: {why}: choose a shorter TMPDIR"
            ) from None

    # ---- life -----------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until a signal. Returns the process's status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: self._stop())
        signal.signal(signal.SIGHUP, lambda number, frame: self._hang_up())
        service = ServiceManager()
        self._server.start()
        try:
            self._adopt()
        except StateError as error:
            print(f"steering: {error}", file=sys.stderr)
            self._status = EXIT_USAGE
            self._stop()
        else:
            self._workers[0].start(monotonic())
        try:
            while not self._stopped:
                self._turn(service)
        finally:
            service.ends()
            self._end()
        return self._status

    def _turn(self, service: ServiceManager) -> None:
        self._loop.turn(LOOK)
        if self._stopped:
            return  # Ctrl-C is for all processes of the terminal: workers that have ended are not to be started again
        now = monotonic()
        self.store.expire()
        self._look_after(now)
        self._hand_on_hup()
        self._door.look()
        if now >= self._told_at:
            self._told_at = now + TOLD
            if self._door.ended and self._posts.tell(self._door.ended):
                self._door.ended.clear()
        if not self._ready and self._is_level(now):
            self._ready = True
            service.ready()
            log.info("switches: %s, %d workers", self._settings.listen, len(self._workers))
        service.beat(now)

    def _adopt(self) -> None:
        """At the first start of workers with a state directory, take over the orders that a single controller has kept there. If this is
        interrupted, all of them are taken over at the next start. Raises StateError, also if the single controller still runs."""
        alone_lock = StateLock(self._settings.state_dir)
        try:
            self._adopt_orders()
        finally:
            alone_lock.release()

    def _adopt_orders(self) -> None:
        way = EtcdGateway(EtcdAccess((EtcdEndpoint("", 0, path=str(self._sockets / STORE)),)))
        store, alone = EtcdStore(Keys(way, f"{_CELL}/kept/")), StateDirectory(self._settings.state_dir)
        own = StateDirectory(self._settings.state_dir / STATE, synced=True)
        if not store.names() or own.read(_ADOPTING) is not None:
            own.write(_ADOPTING, "not all orders are here yet")
            for name in ORDERS:
                text = alone.read(name)
                if text is not None:
                    store.write(name, text)
            own.remove(_ADOPTING)
        way.close()

    def _stop(self) -> None:
        self._stopped = True

    def _hang_up(self) -> None:
        self._to_hup |= {one.name for one in self._workers}

    def _hand_on_hup(self) -> None:
        """Send SIGHUP to workers that take switches. A worker that is still starting gets it later, because it would end by the signal."""
        for one in self._workers:
            if one.name in self._to_hup and one.name in self._posts.ready:
                self._to_hup.discard(one.name)
                one.signal(signal.SIGHUP)

    def _signal(self, number: signal.Signals) -> None:
        for one in self._workers:
            one.signal(number)

    def _end(self) -> None:
        """End the workers. The store serves them until they have ended."""
        self._door.close()
        self._signal(signal.SIGTERM)
        until = monotonic() + ENDED_WITHIN
        for one in self._workers:
            if not one.wait(max(0.1, until - monotonic())):
                log.error("worker %s does not end, and is killed", one.name)
                one.signal(signal.SIGKILL)
                one.wait(ENDED_WITHIN)
        self._posts.close()
        self._server.stop()
        self._loop.close()
        shutil.rmtree(self._sockets, ignore_errors=True)
        self._lock.release()

    # ---- workers --------------------------------------------------------------------------------

    def _look_after(self, now: float) -> None:
        """Start the other workers as soon as the first one takes switches, and restart workers that died."""
        self._seen |= self._posts.ready
        if not self._began and self._workers[0].name in self._seen:
            self._began = True
            self._level_at = now + LEVEL_WITHIN
            for one in self._workers[1:]:
                one.start(now)
        for one in self._workers:
            status = one.ended(now)
            if status is None:
                one.start_if_due(now)
                self._end_frozen(one, now)
                continue
            # The other workers need not wait until its lease ends by itself.
            self.store.end_lease_of(_CLUSTER + MEMBER + one.name)
            if one.name not in self._seen:
                if status <= 0:  # a worker with another status has printed the reason
                    log.error("worker %s has ended with status %d while it started", one.name, status)
                self._status = status if status > 0 else EXIT_FAILED
                self._stop()
                return
            log.error("worker %s has ended with status %d, and is started again", one.name, status)

    def _end_frozen(self, one: WorkerProcess, now: float) -> None:
        """Kill a worker that took switches and has no lease any more: its switches would wait for it."""
        alive = self.store.get(_CLUSTER + MEMBER + one.name) is not None
        if alive or one.name not in self._posts.ready:
            self._gone_since.pop(one.name, None)
        elif now > self._gone_since.setdefault(one.name, now) + FROZEN:
            log.error("worker %s gives no sign of life, and is killed", one.name)
            self._gone_since.pop(one.name)
            one.signal(signal.SIGKILL)

    def _name_of(self, pid: int) -> str:
        return next((one.name for one in self._workers if one.pid == pid), "")

    # ---- switches -------------------------------------------------------------------------------

    def _owner(self, share: str) -> str:
        """The worker that decides for a share, as the cell has agreed; "" where none does."""
        text = self.store.get(f"{_CLUSTER}{OWN}{share}")
        try:
            return "" if text is None else read_assignment(text).owner.controller
        except (ValueError, TypeError, KeyError):
            return ""

    def _is_level(self, now: float) -> bool:
        """Whether every worker has a share and takes switches. A switch that is handed over before may soon have to connect again."""
        if not self._began:
            return False
        names = {one.name for one in self._workers}
        owners = {self._owner(share_name(number)) for number in range(len(names))}
        return now > self._level_at or owners == self._posts.ready == names

    def _hand(self, dpid: DatapathId, one: HandedConnection) -> bool:
        if not self._ready:
            return False
        return self._posts.hand(self._owner(share_of(dpid, len(self._workers))), one)
