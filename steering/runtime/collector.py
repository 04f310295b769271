"""The garbage collector of a controller."""

import gc

THRESHOLDS = (50_000, 20, 100)


def settle() -> None:
    """Everything has been made that lives to the end: no collection need look at it, the indexes of all sessions
    included. Sessions themselves it never looks at (core.sessions.garbage_collector); with the usual thresholds it
    would still run all the time, since they are made by the hundred thousand."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
