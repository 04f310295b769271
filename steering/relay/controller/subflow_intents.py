"""The controller's intents for this MCP's subflows, and which of them the kernel has carried out.

An intent may come before its subflow exists, while the join's handshake is still going on. So an intent that the kernel
refuses is kept and tried again for PATIENCE seconds. All tables are bounded; the oldest intent gives way.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from steering.relay.controller.hostile_json import told_address
from steering.relay.kernel.path_manager import KernelSubflow

MAX_WISHES = 65_536
PATIENCE = 10.0  # seconds an intent waits for its subflow

_TOKEN = re.compile(r"[0-9a-f]{8}", re.ASCII)
# The number of a session. In a cluster the controller's name and a colon stand before it.
_SESSION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62}:)?[0-9]{1,20}", re.ASCII)

Json = dict[str, Any]


class SubflowIntent(NamedTuple):
    """How a subflow is to be used, as the controller's `subflows` events say. `share`: 0 to 1,000, 0 for no share."""

    backup: bool = False
    allowed: bool = True
    share: int = 0


NO_WISH = SubflowIntent()


def parse(told: Json) -> tuple[KernelSubflow, SubflowIntent]:
    """The subflow and the intent in an entry of an event. Raises ValueError for data that is no intent."""
    try:
        token, share = told["token"], told["share"]
        if not (isinstance(token, str) and _TOKEN.fullmatch(token)):
            raise ValueError("a token is 8 hex digits")
        session = told["session"]
        if not (isinstance(session, str) and _SESSION.fullmatch(session)):
            raise ValueError("a session is a number, or a controller's name, a colon and a number")
        ports = (told["server_port"], told["host_port"])
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (*ports, share))
        if not whole or not all(0 < port < 65_536 for port in ports) or not 0 <= share <= 1_000:
            raise ValueError("ports are 1 to 65535, a share 0 to 1000")
        server, host = told_address(told["server"]), told_address(told["host"])
        if server.version != host.version:
            raise ValueError("both ends of a subflow are of one family")
        subflow = KernelSubflow(int(token, 16), str(server), ports[0], str(host), ports[1])
        return subflow, SubflowIntent(told["backup"] is True, told["allowed"] is not False, share)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no intent: {error!r}") from None


class SubflowIntents:
    """Intents by subflow. `apply(subflow, before, wanted)` changes a subflow in the kernel; it raises OSError."""

    def __init__(self, apply: Callable[[KernelSubflow, SubflowIntent, SubflowIntent], None]) -> None:
        self._apply = apply
        self._in_force: dict[KernelSubflow, SubflowIntent] = {}  # intents other than NO_WISH
        self._waiting: dict[
            KernelSubflow, tuple[SubflowIntent, float]
        ] = {}  # intents, and until when they wait
        self.done = 0
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._in_force)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def shares(self) -> Iterator[tuple[KernelSubflow, int]]:
        """The subflows whose intent in force has a share, with the share."""
        return ((subflow, wish.share) for subflow, wish in self._in_force.items() if wish.share)

    def in_force(self, subflow: KernelSubflow) -> SubflowIntent:
        """The intent that the kernel carried out last."""
        return self._in_force.get(subflow, NO_WISH)

    def begin(self, now: float) -> None:
        """Begin a whole new set of intents. An intent in force that is not in the new set is withdrawn."""
        self._waiting.clear()
        for subflow in self._in_force:
            self._waiting[subflow] = (NO_WISH, now + PATIENCE)

    def want(self, subflow: KernelSubflow, wish: SubflowIntent, now: float) -> None:
        """Set the intent for a subflow; `try_again` carries it out."""
        self._waiting.pop(subflow, None)
        if self._in_force.get(subflow, NO_WISH) == wish:
            return
        if len(self._waiting) >= MAX_WISHES:
            del self._waiting[next(iter(self._waiting))]
            self.given_up += 1
        self._waiting[subflow] = (wish, now + PATIENCE)

    def try_again(self, now: float) -> None:
        """Have the kernel carry out the intents that wait. Those whose time is over are given up."""
        for subflow, (wish, until) in list(self._waiting.items()):
            before = self._in_force.get(subflow, NO_WISH)
            try:
                self._apply(subflow, before, wish)
            except OSError:
                if until > now:
                    continue
                self.given_up += 1
                self._in_force.pop(subflow, None)  # the subflow is gone
            else:
                self.done += 1
                self._note(subflow, wish)
            del self._waiting[subflow]

    def _note(self, subflow: KernelSubflow, wish: SubflowIntent) -> None:
        self._in_force.pop(subflow, None)
        if wish == NO_WISH or not wish.allowed:
            return
        if len(self._in_force) >= MAX_WISHES:
            del self._in_force[next(iter(self._in_force))]
        self._in_force[subflow] = wish
