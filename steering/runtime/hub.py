"""Chooses os-ken's hub. `prepare` has to be called before any import of os_ken, and before most of the standard library
is imported.

The eventlet hub is used. eventlet's support ends in April 2027; only this package and `steering.openflow` use eventlet.
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
    """The environment asks for a hub that cannot be used. The message is one line."""


def prepare() -> None:
    """Patch the standard library for eventlet, and make os-ken use it. Raises HubError."""
    if os.environ.setdefault("OSKEN_HUB_TYPE", "eventlet") != "eventlet":
        raise HubError(NATIVE_REFUSED)
    # eventlet's own resolver of names is slow to load and not needed.
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    with warnings.catch_warnings():
        # eventlet warns at every import that it is deprecated. The project knows (see above), and an operator can do
        # nothing about it. The warning's class is eventlet's own, so the filter names the text.
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        with _without("OpenSSL"):
            import eventlet

    eventlet.monkey_patch()


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Within the `with` block, `package` cannot be imported unless it has been imported before. eventlet would import
    pyOpenSSL only to know its exceptions. This project does not use pyOpenSSL, and importing it takes a fourteenth of a
    start."""
    modules = cast("dict[str, object]", sys.modules)
    absent = modules.setdefault(package, None) is None
    try:
        yield
    finally:
        if absent:
            del modules[package]


def check() -> None:
    """Check the hub that osken-manager has chosen already. Raises HubError for a hub that cannot be used."""
    from os_ken.lib import hub

    if hub.HUB_TYPE != "eventlet":
        raise HubError(NATIVE_REFUSED)
