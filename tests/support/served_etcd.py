"""A `SmallEtcd` at its socket, with the threads and the clock of this process."""

import shutil
import tempfile
import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from steering.store.etcd.access import EtcdAccess, parse_endpoints
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.gateway_forms import KeyEvent
from steering.store.etcd.gateway_server import GatewayServer
from steering.store.etcd.small_etcd import SmallEtcd


class ServedEtcd:
    """`access`: to reach it. `keep`: as SmallEtcd's."""

    def __init__(self, keep: Callable[[Sequence[KeyEvent]], None] | None = None) -> None:
        # A socket's path has at most 107 bytes, and those of pytest are long.
        self._folder = Path(tempfile.mkdtemp(prefix="st-"))
        self.path = self._folder / "store"
        self.store = SmallEtcd() if keep is None else SmallEtcd(keep)
        self.server = GatewayServer(self.path, self.store)
        self.access = EtcdAccess(parse_endpoints(f"unix:{self.path}"))
        self._over = threading.Event()
        self._ticks = threading.Thread(target=self._tick, daemon=True)

    def gateway(self) -> EtcdGateway:
        return EtcdGateway(self.access)

    def _tick(self) -> None:
        while not self._over.wait(0.1):
            self.store.expire()

    def __enter__(self) -> Self:
        self.server.start()
        self._ticks.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticks.join(20)
        self.server.stop()
        shutil.rmtree(self._folder)


def put(store: SmallEtcd, key: str, value: str, **more: object) -> None:
    """Write a key without a client: `more` are further fields of the request."""
    store.call(
        "kv/put",
        {"key": b64encode(key.encode()).decode(), "value": b64encode(value.encode()).decode(), **more},
    )
