"""/v1/policy/clock: the clock by which rules with time windows apply, and the operator's offset of that clock (D-3.2c)."""

from typing import Any, cast

from steering.model.control import Control
from steering.northbound.http.conditional import require_match, tag_of
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.schema.bodies import ClockUpdate
from steering.northbound.schema.view import View

Json = dict[str, Any]


class Clock:
    """The controller's local time plus an offset in seconds. After a restart the offset is 0 again."""

    def __init__(self, view: View, control: Control) -> None:
        self._view = view
        self._control = control

    def current(self, _: Call) -> RestReply:
        return RestReply(self._view.clock() | self._offset(), tag=tag_of(self._offset()))

    def put(self, call: Call) -> RestReply:
        """Set the offset. It applies at once to new sessions, and to live sessions whose rule now orders accesses
        differently."""
        require_match(call.if_match, tag_of(self._offset()))
        self._control.set_clock_offset(cast(ClockUpdate, call.body).offset_s)
        return self.current(call)

    def _offset(self) -> Json:
        return {"offset_s": self._control.clock_offset()}
