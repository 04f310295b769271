"""Counts packets with VLAN tags of no attachment, which their first switch drops. They are counted by switch, so that an
operator learns of a trunk that carries more than the site file says."""

from collections.abc import Mapping

from steering.core.counters import Counters
from steering.core.inputs import Input, TagsRefused
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Handler, Part
from steering.core.supervision.names import ThingNames


class RefusedTags(Part):
    """Takes the counters of the switches. A switch without attachments has no entry that counts, so it is ignored."""

    def __init__(self, sitemap: SiteMap, counters: Counters) -> None:
        self._map = sitemap
        self._counters = counters

    def takes(self) -> Mapping[type[Input], Handler]:
        return {TagsRefused: self.refused}

    def refused(self, told: TagsRefused, now: float) -> list[Output]:
        if told.dpid in self._map.at_switch:
            self._counters.tags_refused[ThingNames(self._map).switch(told.dpid)] += told.packets
        return []
