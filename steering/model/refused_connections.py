"""The controller's two listeners, for switches and for REST, and why they refuse connections."""

from enum import StrEnum


class ControllerListener(StrEnum):
    """A listener of the controller (`steering_accept_paused_total{listener}`)."""

    SWITCHES = "switches"
    REST = "rest"


class RestRefusal(StrEnum):
    """Why REST refused a connection or request before it reached a resource (`steering_rest_refused_total{reason}`)."""

    TOO_MANY_STRANGERS = (
        "too-many-strangers"  # the oldest connection without a valid token was closed to make room
    )
    TOO_MANY_OF_TOKEN = "too-many-of-token"  # the token has as many connections as one may have
    WRONG_TOKEN = "wrong-token"  # nobody has this token
    EXPIRED_TOKEN = "expired-token"  # the token's time is over


class SwitchRefusal(StrEnum):
    """Why a connection that gave a datapath id may not speak for that switch."""

    UNKNOWN_SWITCH = "unknown-switch"  # the site does not name it
    WRONG_CERTIFICATE = "wrong-certificate"  # its certificate belongs to another switch
    DUPLICATE = "duplicate-switch"  # another connection has this datapath id, and is alive
