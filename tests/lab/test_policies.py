"""Rules decide what real connections get: the example files one by one, and services of one customer at once."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("S-22", "D-3.2f", "D-6.5j", "D-6.5p1", "D-6.5p2", "D-6.6.3")
@pytest.mark.lab("policies")
def test_every_example_policy_does_what_it_says(ran: Ran) -> None:
    assert_held(ran)


@pytest.mark.row("N-5.6.3a", "N-5.6.3b", "S-22", "D-3.2c")
@pytest.mark.lab("services")
def test_two_mcps_serve_one_customer_by_service_and_a_rule_comes_live(ran: Ran) -> None:
    assert_held(ran)
