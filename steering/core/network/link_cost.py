"""Link cost by utilisation, as Fortz and Thorup (INFOCOM 2000): cheap while empty, steep when nearly full.

Their cost of a link is piecewise linear in its load; a path pays the slope at the load a link has now.
"""

_SLOPES = ((1 / 3, 1.0), (2 / 3, 3.0), (0.9, 10.0), (1.0, 70.0), (1.1, 500.0))
_STEEPEST = 5000.0


def slope(utilisation: float) -> float:
    """The factor on a link's weight at a utilisation (0 idle, 1 full)."""
    for bound, value in _SLOPES:
        if utilisation < bound:
            return value
    return _STEEPEST
