"""Writes raised and cleared alarms to the log, and publishes them as events, whether or not anybody listens."""

import logging

from steering.model.event_kind import EventKind
from steering.northbound.http.events import EventHub
from steering.northbound.schema.view import View

log = logging.getLogger(__name__)


class AlarmTeller:
    def __init__(self, view: View, hub: EventHub) -> None:
        self._view = view
        self._hub = hub
        self._told = 0

    def look(self) -> None:
        """Tell the changes since the last look. The engine keeps only the newest ones; of those it dropped, the log gets
        the number."""
        changes = self._view.alarm_changes(self._told)
        if not changes:
            return
        missed = changes[0]["number"] - self._told - 1
        if missed:
            log.warning("%d more alarms were raised or cleared meanwhile", missed)
        for change in changes:
            level = logging.WARNING if change["change"] == "raised" else logging.INFO
            log.log(
                level,
                "alarm %s: %s %s: %s",
                change["change"],
                change["alarm"],
                change["name"],
                change["text"],
            )
            self._hub.publish(
                EventKind.ALARM, {key: change[key] for key in ("change", "alarm", "name", "text")}
            )
        self._told = changes[-1]["number"]
