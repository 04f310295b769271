"""Names for the types of OpenFlow errors, under which they are counted (OpenFlow 1.3.5 section 7.4.4)."""

ERROR_NAMES = (
    "hello-failed",
    "bad-request",
    "bad-action",
    "bad-instruction",
    "bad-match",
    "flow-mod-failed",
    "group-mod-failed",
    "port-mod-failed",
    "table-mod-failed",
    "queue-op-failed",
    "switch-config-failed",
    "role-request-failed",
    "meter-mod-failed",
    "table-features-failed",
)  # in the order of ofp_error_type, from 0
EXPERIMENTER = 0xFFFF
OTHER = "other"
ERROR_TYPES = (*ERROR_NAMES, "experimenter", OTHER)


def error_name(kind: int) -> str:
    """The name of an error type; `other` for one that OpenFlow 1.3 does not know."""
    if kind == EXPERIMENTER:
        return "experimenter"
    return ERROR_NAMES[kind] if kind < len(ERROR_NAMES) else OTHER
