"""The garbage collector of a controller."""

import gc

THRESHOLDS = (50_000, 20, 100)


def settle() -> None:
    """Take all objects that exist now out of later collections; called when everything that lives to the end has been
    made, including the indexes of all sessions. Sessions themselves are never examined
    (core.sessions.garbage_collector). The thresholds are raised too: with the default ones the collector would run all
    the time, since sessions are made by the hundred thousand."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
