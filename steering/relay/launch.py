"""A relay put together and served: kernel set-up, uplinks, the event loop, and what is taken away at its end."""

from steering.relay.kernel import check, rules, sysctls, uplinks
from steering.relay.kernel.delivery import wait_finished
from steering.relay.kernel.sockets import check_platform
from steering.relay.log import Log
from steering.relay.options.relay_options import RelayOptions
from steering.relay.relay import Relay
from steering.relay.session.dialler import dialler

FINISH_S = 0.4
"""How long a relay that ends waits for connections that ended in order; it has to be gone within a second."""


def serve(options: RelayOptions, log: Log, apply: bool) -> None:
    """Relay until a signal. With `apply` the kernel's rules are there as long as the relay is.

    Raises PlatformError, RuleError, LogError or PathManagerError where this machine cannot.
    """
    check_platform(will_enable=apply)
    if apply:
        rules.apply_sysctls(options)  # before the sockets: they need net.mptcp.enabled
    ways = uplinks.read(options.upstream.uplinks) if options.upstream else ()
    relay = Relay(options, log, dialler(options, ways))
    warnings = check.Warnings(options, log, ways, check.ThisMachine())

    def prepare() -> None:
        if apply:
            rules.install(options)
        warnings.start()

    if not apply:
        relay.run(prepare)
        return
    try:
        if options.upstream:
            uplinks.prepare(ways, options.inside, options.upstream)
        relay.run(prepare)
    finally:
        warnings.stop()
        sysctls.return_path_manager(options)
        if wait_finished(options.serves, FINISH_S):
            rules.remove()
        else:
            rules.retire()
            log.event(
                "rule kept", table=rules.TABLE, reason="connections that ended are still being delivered"
            )


def script(options: RelayOptions) -> str:
    """The kernel's set-up as a shell script; it changes nothing by itself. Raises RuleError."""
    text = rules.script(options)
    if options.upstream:
        text += uplinks.script(uplinks.read(options.upstream.uplinks), options.inside, options.upstream)
    return text


def faults(options: RelayOptions) -> list[check.Fault]:
    """What this machine lacks of what a relay with these options needs."""
    ways, found = check.ways_of(options)
    return [*found, *check.faults(options, check.ThisMachine(), ways)]
