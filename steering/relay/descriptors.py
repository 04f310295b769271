"""Open files: two a session, one a listener, and some to spare."""

import resource

from steering.relay.sockets import PlatformError

SPARE_DESCRIPTORS = 64


def reserve_descriptors(sessions: int, ports: int) -> None:
    """Raise this process's soft limit to two descriptors a session and some. Raises PlatformError if it may not."""
    need = 2 * sessions + ports + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        fits = max(0, (hard - ports - SPARE_DESCRIPTORS) // 2)
        raise PlatformError(
            f"--max-sessions {sessions} needs {need} open files and the hard limit is {hard}: "
            f"raise it (ulimit -Hn {need}) or say --max-sessions {fits}"
        )
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
