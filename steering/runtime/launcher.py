"""Starts the controller in this process and ends it on SIGTERM or SIGINT.

os-ken 4 has no manager any more, so this module does what osken-manager did. The order matters: the hub first,
then everything that imports a socket. The main loop sleeps briefly and checks for a signal, because a signal handler that
only wakes a greenthread is not noticed while the hub waits in poll (docs/design/measured.rst).
"""

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from steering.runtime.hub import HubError, prepare
from steering.runtime.settings import SWITCHES_SOCKET, Settings

EXIT_USAGE = 2
LOOK = 0.2  # seconds between checks whether to stop
ORPHANED_WITHIN = 1.0  # seconds for which a worker checks, after its connection to the parent has ended, whether the parent is gone
# Modules that take some tenths of a second each to load. Between them, switches that connect get a HELLO.
LONG_TO_LOAD = (
    "steering.core.engine",
    "pydantic",
    "steering.policy",
    "os_ken.base.app_manager",
    "steering.runtime.controller",
)


def launch(settings: Settings) -> int:
    """Run the controller until a signal. Returns 0, or 2 when the controller could not start; the reason is on
    stderr then."""
    # Loading modules makes tens of thousands of objects, and hardly any is garbage. Collections would take a tenth of
    # the start.
    gc.disable()
    try:
        prepare()
    except HubError as error:
        print(f"steering run: {error}", file=sys.stderr)
        return EXIT_USAGE
    from steering.openflow.connection.descriptors import raise_descriptors

    raise_descriptors()
    door = _door(settings)
    for name in LONG_TO_LOAD:
        import_module(name)
        if door is not None:
            door.look()
    from steering.runtime import logs
    from steering.runtime.controller import StartError, assemble

    logs.set_up(settings.log_level, settings.log_json, _worker_name(settings))
    try:
        controller = assemble(settings)
    except StartError:
        return EXIT_USAGE
    return _serve(settings, controller, door)


def _worker_name(settings: Settings) -> str:
    """The name of one of several controllers that a parent started on this machine; "" for any other controller."""
    cluster = settings.cluster
    return "" if cluster is None or cluster.sockets is None else cluster.name


def _door(settings: Settings) -> Any:
    """The socket that listens for switches before the long part of a start. None where the port cannot be used: the
    reason is reported later, after the findings of the files. A worker's parent listens for it."""
    if settings.cluster is not None and settings.cluster.sockets is not None:
        return _parents_door(settings.cluster.sockets)
    from steering.openflow.connection.early_door import EarlyDoor

    assert settings.listen is not None
    try:
        return EarlyDoor(settings.listen.host, settings.listen.port, greets=settings.switch_tls is None)
    except OSError:
        return None


def _parents_door(sockets: Path) -> Any:
    """The source of a worker's switches. The worker ends when its parent is gone, because no switch could reach it. If the parent was
    killed, the worker also removes the folder of sockets that the parent left behind."""
    import shutil
    import signal
    import time

    from os_ken.lib import hub

    from steering.openflow.connection.handed_switches import HandedSwitches

    parent = os.getppid()

    def gone() -> None:
        # The connection of a process that was killed ends a moment before its children have another parent.
        until = time.monotonic() + ORPHANED_WITHIN
        while os.getppid() == parent and time.monotonic() < until:
            hub.sleep(0.02)
        if os.getppid() != parent:
            shutil.rmtree(sockets, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGTERM)

    return HandedSwitches(str(sockets / SWITCHES_SOCKET), gone)


def _serve(settings: Settings, controller: Any, door: Any) -> int:
    import signal
    from time import monotonic

    from os_ken import cfg
    from os_ken.base.app_manager import AppManager
    from os_ken.controller import controller as _  # noqa: F401  (registers os-ken's listen options)
    from os_ken.lib import hub

    from steering.relay.service_manager import ServiceManager
    from steering.runtime import collector
    from steering.runtime.http.background import give_way

    stop: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    signal.signal(signal.SIGHUP, lambda number, frame: controller.policy_file.ask())
    assert settings.listen is not None
    listen = settings.listen
    options = ["--ofp-listen-host", listen.host, "--ofp-tcp-listen-port", str(listen.port)]
    if settings.switch_tls is not None:
        tls = settings.switch_tls
        options += ["--ofp-ssl-listen-port", str(listen.port), "--ctl-cert", tls.cert]
        options += ["--ctl-privkey", tls.key, "--ca-certs", str(tls.client_ca)]
    cfg.CONF(
        project="os_ken",
        args=options,
        default_config_files=[],
    )
    if door is not None:
        door.look()
    manager = AppManager.get_instance()
    manager.load_apps(["steering.app"])
    manager.instantiate_apps(**manager.create_contexts(), controller=controller, door=door)
    collector.settle()
    give_way()
    # Notifications come from the hub's thread: while a handler never returns, systemd gets none.
    service = ServiceManager()
    service.ready()
    cluster = controller.cluster
    while not stop and not (cluster is not None and cluster.begins_anew):
        service.beat(monotonic())
        hub.sleep(LOOK)
    service.ends()
    manager.close()
    if not stop:
        # Start again as a standby without sessions: the switches hold newer ones than this process knew.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return 0
