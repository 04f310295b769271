"""How long discovery frames take over a link."""

from typing import NamedTuple

from steering.model.network import PortRef


class LinkTrip(NamedTuple):
    """Discovery frames (wire.lldp) over the link from `a` to `b` take `trip` seconds now, and took `usual` seconds before.

    `is_outlier`: `trip` has become a multiple of `usual`. If False, it is so no longer.
    """

    a: PortRef
    b: PortRef
    trip: float
    usual: float
    is_outlier: bool
