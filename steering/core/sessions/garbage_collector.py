"""Sessions are no business of the garbage collector.

It looks for circles of objects that nobody else refers to. Of records it finds none, because `SessionTable.forget` cuts the
one circle that there is, a session and its subflows. And it would look at two million of them for a third of a second and
more, while every SYN waits. So records are taken from what it looks at: they are freed by their reference counts alone.

It would also look at everything that an index refers to. A controller that starts freezes what it has made
(runtime.collector), and what is frozen is not looked at. Of a plain dict the collector knows nothing until the first
record is in it, so freezing would miss it; an `Index` it knows from the beginning.
"""

from collections import deque
from collections.abc import Callable
from ctypes import py_object, pythonapi
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

# CPython's own: void PyObject_GC_UnTrack(PyObject *). Of what is not tracked it does nothing.
untrack: Callable[[object], None] = pythonapi.PyObject_GC_UnTrack
untrack.argtypes, untrack.restype = [py_object], None  # type: ignore[attr-defined]

AT_ONCE = 64


def untrack_all(records: list[object]) -> None:
    """Untrack records, and empty the list. So many in a row take half of what each takes by itself: the way through
    ctypes is long, and other work drives it from the processor's cache."""
    deque(map(untrack, records), 0)
    records.clear()


class Index(dict[K, V]):
    """A dict of records. It is to be made before the controller starts."""

    __slots__ = ()
