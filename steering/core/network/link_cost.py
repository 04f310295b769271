"""The cost of a link by its utilisation, after Fortz and Thorup (INFOCOM 2000).

The cost there is a piecewise linear function of the link's load. Here a link's weight is multiplied by the slope of
that function at the link's present load: little while the link is idle, much when it is nearly full.
"""

_SLOPES = ((1 / 3, 1.0), (2 / 3, 3.0), (0.9, 10.0), (1.0, 70.0), (1.1, 500.0))
_STEEPEST = 5000.0


def slope(utilisation: float) -> float:
    """The factor for a link's weight at a utilisation (0 is idle, 1 is full)."""
    for bound, value in _SLOPES:
        if utilisation < bound:
            return value
    return _STEEPEST
