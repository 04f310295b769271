"""Keeps Python's garbage collector away from the records of sessions.

The collector looks for reference cycles. A session and its subflows are a cycle, but `SessionTable.forget` breaks it, so the
collector never finds one among the records. Nevertheless it would need a third of a second and more to examine two million
records, while every SYN waits. Therefore records are untracked: they are freed by their reference counts alone.

The collector would also examine all that an index refers to. At its start, the controller freezes the objects that exist
(runtime.collector), and frozen objects are not examined. CPython does not track a plain dict before its first record is in
it, so the freezing would miss an empty dict. An `Index` is tracked from the beginning.
"""

from collections import deque
from collections.abc import Callable
from ctypes import py_object, pythonapi
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

# CPython's void PyObject_GC_UnTrack(PyObject *). It does nothing to an object that is not tracked.
untrack: Callable[[object], None] = pythonapi.PyObject_GC_UnTrack
untrack.argtypes, untrack.restype = [py_object], None  # type: ignore[attr-defined]

AT_ONCE = 64  # new records that are untracked together


def untrack_all(records: list[object]) -> None:
    """Untrack records, and empty the list. Per record, many in a row take half the time of single calls, because the long code
    path through ctypes then stays in the processor's cache."""
    deque(map(untrack, records), 0)
    records.clear()


class Index(dict[K, V]):
    """A dict of records. It has to be made before the controller freezes its objects."""

    __slots__ = ()
