"""Choosing os-ken's hub. `prepare` comes before any import of os_ken, and before most of the standard library.

The eventlet hub is used; eventlet's support ends in April 2027, and this package and `steering.openflow` are
all that knows of it.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

NATIVE_REFUSED = (
    "the native hub of os-ken cannot run this: an exception in a handler silently ends its event loop, and "
    "waits with a time-out never time out; unset OSKEN_HUB_TYPE or set it to eventlet"
)


class HubError(Exception):
    """The environment asks for a hub that is not fit; the message is one line."""


def prepare() -> None:
    """Patch the standard library for eventlet, and make os-ken use it. Raises HubError."""
    if os.environ.setdefault("OSKEN_HUB_TYPE", "eventlet") != "eventlet":
        raise HubError(NATIVE_REFUSED)
    # No names are looked up here, so eventlet's resolver, which takes a while to load, is not wanted.
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    with warnings.catch_warnings():
        # eventlet says at every import that it is deprecated: that is known (see above), and nothing the
        # operator could act upon. The warning's class is eventlet's own, so it is known by its text.
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        with _without("OpenSSL"):
            import eventlet

    eventlet.monkey_patch()


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Meanwhile a package that nobody has imported yet cannot be. eventlet imports pyOpenSSL, where it is installed, to
    know its exceptions by name; nothing here uses it, and it takes a fourteenth of a start."""
    modules = cast("dict[str, object]", sys.modules)
    absent = modules.setdefault(package, None) is None
    try:
        yield
    finally:
        if absent:
            del modules[package]


def check() -> None:
    """Under osken-manager the hub is chosen already. Raises HubError for one that is not fit."""
    from os_ken.lib import hub

    if hub.HUB_TYPE != "eventlet":
        raise HubError(NATIVE_REFUSED)
