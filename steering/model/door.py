"""Names of what happens at the controller's two doors, the listeners for switches and for REST."""

from enum import StrEnum


class Door(StrEnum):
    """A listener of the controller (`steering_accept_paused_total{listener}`)."""

    SWITCHES = "switches"
    REST = "rest"


class RestRefusal(StrEnum):
    """What REST turned away before any resource was asked (`steering_rest_refused_total{reason}`)."""

    TOO_MANY_STRANGERS = "too-many-strangers"  # the oldest connection without a known token gave its place
    TOO_MANY_OF_TOKEN = "too-many-of-token"  # a token with more connections than it may have
    WRONG_TOKEN = "wrong-token"


class SwitchRefusal(StrEnum):
    """Why a connection that gave a datapath id may not speak for that switch."""

    UNKNOWN_SWITCH = "unknown-switch"  # the site does not name it
    WRONG_CERTIFICATE = "wrong-certificate"  # its certificate is another's
    DUPLICATE = "duplicate-switch"  # the connection that has the id is alive
