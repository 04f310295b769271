"""The garbage collector of a controller."""

import gc

# The collector looks at new objects as soon as there are 7,000, and at the survivors once more as soon as these collections were
# three. An object takes it some 0.1 us. So it pauses for some 3 ms, and for 17 where the objects refer to very many others, as
# those of 1,000 switches that are filled at once. Only the third number lets it look at all objects that are not frozen: after
# 100 million.
THRESHOLDS = (7_000, 2, 5_000)


def settle() -> None:
    """Take all objects that exist now out of later collections; called when everything that lives to the end has been
    made, including the indexes of all sessions. Sessions themselves are never examined
    (core.sessions.garbage_collector). The thresholds are raised too: with the default ones the collector would run all
    the time, since sessions are made by the hundred thousand."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
