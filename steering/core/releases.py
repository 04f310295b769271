"""The ways on for a segment that was held at its edge."""

from steering.core.messages import NATURAL, Release, SynSeen
from steering.core.sitemap import Attachment

_new = tuple.__new__


def naturally(attachment: Attachment, seen: SynSeen) -> Release:
    """By the natural route."""
    return Release(seen.dpid, seen.port, seen.frame, NATURAL, 0, attachment.role)


def steered(attachment: Attachment, seen: SynSeen, waypoint: int) -> Release:
    """To a waypoint."""
    return _new(Release, (seen.dpid, seen.port, seen.frame, waypoint, 0, attachment.role))
