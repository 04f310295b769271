"""The os-ken application around the controller, whichever way it was started."""

import logging
import sys
from typing import Any

from os_ken.lib import hub

from steering.model.mechanism import Mechanism
from steering.openflow.app import SteeringApp
from steering.openflow.connection.connections import Door, install
from steering.openflow.connection.tls import switch_context
from steering.runtime.controller import Controller, StartError, assemble
from steering.runtime.http.rest import check_free
from steering.runtime.hub import HubError, check
from steering.runtime.settings import ListenAddress, SettingsError, check_listen, from_environment

DEFAULT_PORT = 6653  # os-ken's, when its options name none

log = logging.getLogger(__name__)


class ControllerApp(SteeringApp):
    """The os-ken application. `steering run` passes a controller to it; osken-manager does not, so the application
    makes one itself then."""

    def __init__(
        self, *args: Any, controller: Controller | None = None, door: Door | None = None, **kwargs: Any
    ) -> None:
        if controller is None:
            controller = _from_environment()
        super().__init__(
            *args,
            engine=controller.engine,
            counters=controller.counters,
            discovery=controller.discovery,
            bounded=Mechanism.CONNECTION_BUDGET not in controller.settings.disabled,
            fast=controller.settings.fast_path,
            door=door,
            watch=controller.traces,
            **kwargs,
        )
        self._controller = controller
        self._check_port(door is not None)
        if controller.cluster is not None:
            self._sender.readback.adopts = True
            install(controller.cluster.before(self), self.counters, door)

    def _check_port(self, is_open: bool) -> None:
        """Check that the switches' port is free and may be listened on, and that its certificates can be used. If not,
        the process ends."""
        options = self.CONF
        has_tls = options.ctl_privkey is not None and options.ctl_cert is not None  # as os-ken decides
        port = options.ofp_ssl_listen_port if has_tls else options.ofp_tcp_listen_port
        endpoint = ListenAddress(options.ofp_listen_host, port or DEFAULT_PORT)
        try:
            insecure = self._controller.settings.switch_insecure
            check_listen(endpoint, has_tls and options.ca_certs is not None, insecure)
            if has_tls:
                _check_certificates(options.ctl_cert, options.ctl_privkey, options.ca_certs)
            if not is_open:
                check_free(endpoint, "--listen")
        except SettingsError as error:
            print(f"steering: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        self._endpoint, self._has_tls = endpoint, has_tls

    def start(self) -> Any:
        keeper = self._controller.keeper
        keeper.restore(self.take)  # before any switch can connect
        super().start()
        operator, file = self._controller.operator, self._controller.policy_file
        operator.connect(self.give, keeper.around(self.take))
        self._controller.authorisers.connect(self.give)
        self._sender.authorise = self._controller.authorisers.ask
        self.told = self._controller.rest.tell
        changed = file.changed
        if self._controller.cluster is not None:
            changed = self._controller.cluster.only_where_it_decides(changed)
        self._operating = hub.spawn(operator.watch, self._controller.settings.policy, changed)
        self._keeping = hub.spawn(keeper.watch)
        self._controller.rest.start()
        if self._controller.traces is not None:
            self._controller.traces.start()
        if self._controller.cluster is not None:
            self._controller.cluster.start(lambda: self.is_active)
        log.info(
            "switches: %s%s, REST: %s",
            self._endpoint,
            " by TLS" if self._has_tls else "",
            self._controller.rest.url,
        )

    def stop(self) -> None:
        if self._controller.cluster is not None:
            self._controller.cluster.stop()
        # Not among `threads`: os-ken waits for those, and this one never ends by itself.
        hub.kill(self._operating)
        hub.kill(self._keeping)
        self._controller.keeper.save()
        self._controller.rest.stop()
        super().stop()
        if self._controller.traces is not None:
            self._controller.traces.stop()


def _check_certificates(cert: str, key: str, ca: str | None) -> None:
    try:
        switch_context(cert, key, ca)
    except OSError as error:  # ssl.SSLError is one
        why = getattr(error, "reason", None) or error.strerror or str(error)
        raise SettingsError(f"--switch-cert, --switch-key, --switch-ca: cannot be used: {why}") from None


def _from_environment() -> Controller:
    try:
        check()
        return assemble(from_environment())
    except (HubError, SettingsError) as error:
        print(f"steering: {error}", file=sys.stderr)
    except StartError:
        pass  # the reasons are on stderr already
    raise SystemExit(2)
