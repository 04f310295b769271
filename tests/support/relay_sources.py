"""A pool of shared addresses, small enough to run out, and a server to reach from it."""

from steering.relay.options.relay_options import parse_source
from steering.relay.options.source_mode import SourceOptions

SERVER = ("10.9.0.2", 80)


def shared(ratio: int = 4, hold: str = "0") -> SourceOptions:
    """One IPv4 address that `ratio` subscribers share; `hold` in seconds, as on the command line."""
    return parse_source(["shared"], ["192.0.2.1/32"], [], str(ratio), hold=hold)
