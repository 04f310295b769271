"""Alarms that were raised or cleared, as log lines and events. Looks whether somebody listens or not."""

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
        """Tell what changed since the last look. What came too fast to be remembered is told as a number."""
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
