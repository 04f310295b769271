"""A relay's options as tests want them: a small transparent MCP, changed where a test says so."""

from steering.relay.model import RelayInterception, ServerLeg
from steering.relay.options.relay_options import RelayOptions
from steering.relay.options.source_mode import RelaySourceMode, SourceOptions
from steering.relay.options.values import parse_prefixes


def options(**changes: object) -> RelayOptions:
    """Two service ports, two prefixes, transparent sources; `changes` by the names of RelayOptions."""
    words: dict[str, object] = {
        "source": SourceOptions(RelaySourceMode.TRANSPARENT, RelaySourceMode.TRANSPARENT),
        "ports": (80, 5201),
        "prefixes": parse_prefixes(["10.9.0.0/24", "fd00:9::/64"]),
        "inside": (),
        "interception": RelayInterception.ALL,
        "server_leg": ServerLeg.MPTCP,
        "max_sessions": 10,
        "dial_timeout": 5,
        "status": None,
    }
    return RelayOptions(**(words | changes))  # type: ignore[arg-type]
