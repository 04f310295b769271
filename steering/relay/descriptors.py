"""The relay's need of file descriptors: two for a session, one for a listener, one for a reader of status or metrics, and
SPARE_DESCRIPTORS more."""

import resource

from steering.relay.controller import inbound_ports
from steering.relay.model import PlatformError
from steering.relay.observe.readers import MAX_READERS
from steering.relay.options.relay_options import RelayOptions
from steering.relay.session.listeners import wanted_listeners

SPARE_DESCRIPTORS = 64


def beside_sessions(options: RelayOptions) -> int:
    """The most descriptors that a relay without sessions has open."""
    return (
        len(wanted_listeners(options))
        + (inbound_ports.MOST if options.inbound is not None else 0)
        + (1 + MAX_READERS if options.status is not None else 0)
        + (1 + MAX_READERS if options.metrics is not None else 0)
        + SPARE_DESCRIPTORS
    )


def reserve_descriptors(options: RelayOptions) -> None:
    """Raise this process's soft limit of open files to what these options can need. Raises PlatformError where the hard
    limit is too low."""
    sessions, beside = options.max_sessions, beside_sessions(options)
    need = 2 * sessions + beside
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        fits = (hard - beside) // 2
        raise PlatformError(
            f"--max-sessions {sessions} needs {need} open files and the hard limit is {hard}: "
            f"raise it (ulimit -Hn {need})" + (f" or say --max-sessions {fits}" if fits > 0 else "")
        )
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
