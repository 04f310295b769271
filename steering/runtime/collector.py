"""The garbage collector of a controller."""

import gc

# The collector examines new objects as soon as there are 7,000, and after three such collections it examines the survivors once more. It
# needs some 0.1 us for an object. So a collection takes some 3 ms, and up to 17 ms if the objects refer to very many others, as when 1,000
# switches are filled at once. All objects that are not frozen are examined only after 100 million new objects, by the third number.
THRESHOLDS = (7_000, 2, 5_000)


def settle() -> None:
    """Take all objects that exist now out of later collections; called when everything that lives to the end has been
    made, including the indexes of all sessions. Sessions themselves are never examined
    (core.sessions.garbage_collector). The thresholds are raised too: with the default ones the collector would run all
    the time, since sessions are made by the hundred thousand."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
