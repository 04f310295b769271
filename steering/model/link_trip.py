"""What announcements over a link take."""

from typing import NamedTuple

from steering.model.network import PortRef


class LinkTrip(NamedTuple):
    """Announcements over the link from `a` to `b` take `trip` seconds now, where they took `usual` before: an outlier, or
    one no longer."""

    a: PortRef
    b: PortRef
    trip: float
    usual: float
    is_outlier: bool
