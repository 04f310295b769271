"""The mechanisms of a controller that a negative control can switch off: `steering run --disable`, `steering lab run
--without`."""

from enum import StrEnum


class Mechanism(StrEnum):
    """A part of the controller that can be switched off. The value is the word of the option. `without` says what happens
    without the mechanism."""

    without: str

    def __new__(cls, word: str, without: str = "") -> "Mechanism":
        one = str.__new__(cls, word)
        one._value_ = word
        one.without = without
        return one

    STEERING = "steering", "nothing is punted: natural routing only"
    TOKEN_LOOKUP = "token-lookup", "joins are decided anew, as if they were initial subflows"
    UN_WILDCARDING = (
        "un-wildcarding",
        "a natural flow in the switch's cache may carry segments of other 5-tuples",
    )
    HOLD_QUEUE = "hold-queue", "joins whose token is not known yet are forwarded the natural way at once"
    REDACTION = "redaction", "subscribers are shown by their own names"
    STRAY_DROP = "stray-drop", "a join with an unknown token is asked about each time it is repeated"
    POOL_ROUTES = "pool-routes", "no route leads what comes back to a pool to the MCP that gives it"
    RESERVATIONS = "reservations", "what is reserved is answered for, and not enforced"
    OPTION_BYPASS = "option-bypass", "a SYN is steered whatever other options it carries"
    RATIO_LIMITS = "ratio-limits", "a ratio is known, and no MCP is told of it"
    FLOOD_METERS = "flood-meters", "a flooded port's meter lets through what it always does"
    HOST_METERS = "host-meters", "known hosts of a flooded port share its meter with the flood"
    KEEPING = "keeping", "a controller that starts does not read what an earlier one kept"
    READ_BACK = "read-back", "a controller that starts takes no session from the entries that it finds"
    OLD_PATHS = "old-paths", "labels follow new link weights at once, under live sessions too"
    ADDRESS_PROBES = (
        "address-probes",
        "an address belongs to whoever claimed it last, by ARP or neighbour discovery",
    )
    SOURCE_GUARD = "source-guard", "a host may send with any address of its access network's prefixes"
    CONNECTION_BUDGET = (
        "connection-budget",
        "a connection of a switch takes what time and memory it can, and sends what nobody asked for",
    )
    FAILOVER = (
        "failover",
        "no switch goes around a dead link by itself: only the controller finds other paths",
    )
    LINK_RETURN = "link-return", "a link that was lost stays so, whatever is heard of it"
    LEASE = (
        "lease",
        "SYNs are held at their edge for as long as the controller is gone, whatever the policy says",
    )
    TOKEN_GUESSES = "token-guesses", "a source may guess tokens of joins as often as it likes"
    PEER_TOKENS = (
        "peer-tokens",
        "a controller forgets what others tell of their tokens: joins of their sessions are unknown to it",
    )
    PEER_REST = (
        "peer-rest",
        "REST answers for its own controller alone: sessions of others are neither listed nor found",
    )
    THIRD_ACK = "third-ack", "a session counts as established as soon as its MCP has answered"
    LIVE_PINS = (
        "live-pins",
        "a SYN on the 5-tuple of a live session takes its pin away, and so do FINs whatever their numbers are",
    )
    ICMP_ERRORS = (
        "icmp-errors",
        "an ICMP error about a leg of an MCP's goes to the address that the leg has, and nowhere else",
    )
    IDLE_PINS = "idle-pins", "the entries of a session that was silent for the idle limit go"
    MCP_PROBES = (
        "mcp-probes",
        "no MCP is probed, and one that falls silent is missed as late as one that promised nothing",
    )
    JOIN_DESTINATION = (
        "join-destination",
        "a join is of the session that has its token, wherever the join goes",
    )
    WRONG_MCP = "wrong-mcp", "joins are pinned to another MCP than their session's"
    PROACTIVE = "proactive", "no entries are set ahead: every SYN is looked at"
    ONE_MCP = "one-mcp", "entries set ahead lead each prefix of a subscriber to an MCP of its own"
