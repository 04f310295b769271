"""A relay's status as Prometheus text."""

from prometheus_client.parser import text_string_to_metric_families

from steering.relay.counters import RelayCounters
from steering.relay.observe.metrics import text


def test_every_counter_is_there_and_prometheus_reads_it() -> None:
    counters = RelayCounters()
    counters.accepted, counters.active = 7, 3
    kernel = {"MPCapableSYNRX": 5, "MPJoinAckRx": 2, 'x"} 1\nevil 1': 9}
    written = text({"counters": counters.as_dict(), "kernel": kernel})
    found = {
        (sample.name, sample.labels.get("counter")): (sample.value, family.type)
        for family in text_string_to_metric_families(written)
        for sample in family.samples
    }
    assert found["steering_relay_accepted_total", None] == (7, "counter")
    assert found["steering_relay_active", None] == (3, "gauge")
    assert found["steering_relay_kernel_total", "MPJoinAckRx"] == (2, "counter")
    assert len(found) == len(counters.as_dict()) + 2 and "evil" not in written
