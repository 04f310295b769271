"""Puts a relay together and runs it: kernel set-up, uplinks, the event loop, and the removal of the set-up at the end."""

from collections.abc import Sequence
from contextlib import closing, nullcontext

from steering.relay.kernel import check, rules, sysctls, uplink_watch, uplinks
from steering.relay.kernel.delivery import wait_finished
from steering.relay.kernel.namespace_claim import NamespaceClaim
from steering.relay.kernel.sockets import check_platform, is_free
from steering.relay.kernel.uplink_watch import UplinkWatch
from steering.relay.kernel.uplinks import Uplink
from steering.relay.log import Log
from steering.relay.options.relay_options import RelayOptions
from steering.relay.relay import Relay
from steering.relay.session.dialler import Dialler, dialler
from steering.relay.session.uplink_dialler import UplinkDialler

FINISH_S = 0.4
"""Seconds that an ending relay waits for the kernel to finish closed connections. A relay has to end within a second."""


def serve(options: RelayOptions, log: Log, apply: bool) -> None:
    """Run a relay until a signal. With `apply` the kernel's rules are installed for as long as the relay runs.

    Raises PlatformError, RuleError, LogError or PathManagerError where this machine cannot run the relay.
    """
    check_platform(will_enable=apply)
    with closing(NamespaceClaim(log)) if apply else nullcontext():
        _serve(options, log, apply)


def _serve(options: RelayOptions, log: Log, apply: bool) -> None:
    if apply:
        rules.apply_sysctls(options)  # before the sockets are opened: they need net.mptcp.enabled
    if options.upstream is None:
        _run(options, log, apply, dialler(options), ())
        return

    def forget(uplink: Uplink) -> None:
        dial.health.forget(uplink.interface)

    # Only UplinkWatch loads pyroute2. Its functions are called after `start`, when there is a dialler.
    watch = UplinkWatch(
        options.upstream.uplinks, apply, log, forget, silent=lambda uplink: dial.leave(uplink), well=forget
    )
    try:
        fast_open = options.via is not None and options.via.fast_open
        dial = UplinkDialler(watch, log, options.upstream.source_ports, fast_open, answers=watch.answers)
        if apply:
            uplinks.prepare(watch.uplinks, options.inside, options.upstream)
        watch.start()
        finished = _run(options, log, apply, dial, watch.uplinks)
    except BaseException:
        finished = True
        raise
    finally:
        watch.stop()
        if apply and finished:
            uplinks.remove(watch.uplinks)


def _run(options: RelayOptions, log: Log, apply: bool, dial: Dialler, ways: Sequence[Uplink]) -> bool:
    """Run the relay. Whether all its connections are finished, so that the uplinks' routes can be removed."""
    relay = opened(options, log, dial, apply)
    warnings = check.Warnings(options, log, ways, check.ThisMachine())

    def prepare() -> None:
        if apply:
            rules.install(options)
        warnings.start()

    finished = True
    try:
        relay.run(prepare)
    finally:
        warnings.stop()
        if apply:
            finished = _undo(options, log)
    return finished


def opened(options: RelayOptions, log: Log, dial: Dialler, apply: bool) -> Relay:
    """A relay with open listeners. With `apply`, the nft table of an earlier run is prepared for these listeners, and restored
    where they cannot be opened: the table may be that of a live relay. Raises PlatformError."""
    # Where a port is taken another relay runs here, and this one will fail.
    calmed = apply and all(map(is_free, options.ports)) and rules.calm(options)
    try:
        return Relay(options, log, dial)
    except BaseException:
        if calmed:
            rules.resume()
        raise


def _undo(options: RelayOptions, log: Log) -> bool:
    """Remove the relay's rules; whether all could be removed. One rule stays for connections that are not finished."""
    sysctls.return_path_manager(options)
    if wait_finished(options.serves, FINISH_S):
        rules.remove()
        return True
    rules.retire()
    log.event("rule kept", table=rules.TABLE, reason="connections that ended are still being delivered")
    return False


def script(options: RelayOptions) -> str:
    """The kernel's set-up as a shell script. This function changes nothing. Raises RuleError."""
    text = rules.script(options)
    if options.upstream:
        text += uplinks.script(uplink_watch.read(options.upstream.uplinks), options.inside, options.upstream)
    return text


def faults(options: RelayOptions) -> list[check.Fault]:
    """The settings that a relay with these options needs and this machine lacks."""
    ways, found = check.ways_of(options)
    return [*found, *check.faults(options, check.ThisMachine(), ways)]
