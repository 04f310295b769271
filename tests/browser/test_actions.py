"""What-if, and an operator's changes: what will happen is told first, and nothing is done before the answer."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from steering.core.inputs import AbortSession, LinkWeighed, McpAdmin
from tests.support.browser import Visit
from tests.support.live_page import LivePage

Open = Callable[..., Visit]


def given(live: LivePage, kind: type) -> list[Any]:
    return [one for one in live.control.given if isinstance(one, kind)]


@pytest.mark.row("D-7.2")
def test_a_drain_is_told_then_done(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    page.click("#tab-mcps")
    page.click("text=Drain core")
    asked = page.locator("#ask-body")
    expect(asked).to_contain_text("It keeps its 1 session until they end, and gets no new ones.")
    expect(asked).to_contain_text("New ones go to edge.")
    page.click("#ask-no")
    expect(page.locator("#ask")).to_be_hidden()
    assert given(live, McpAdmin) == []
    page.click("text=Drain core")
    page.click("#ask-yes")
    expect(page.locator("#told")).to_have_text("core is being drained")
    assert [one.draining for one in given(live, McpAdmin)] == [True]
    expect(page.locator("text=Use core again")).to_be_visible()


@pytest.mark.row("D-7.2")
def test_an_abort_is_told_then_done(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    page.click(".row")
    page.click("#picked .danger")
    expect(page.locator("#ask-body")).to_contain_text("2 subflows at MCP core")
    expect(page.locator("#ask-body")).to_contain_text("It cannot be taken back.")
    assert given(live, AbortSession) == []
    page.click("#ask-yes")
    expect(page.locator("#told")).to_contain_text("is being aborted")
    assert given(live, AbortSession) == [AbortSession(1)]


@pytest.mark.row("D-1.d")
def test_a_links_weight_is_set(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    page.click("#tab-links")
    page.click("[aria-label='Weigh s1:2-s3:2']")
    expect(page.locator("#ask-body")).to_contain_text("Live sessions keep their paths.")
    page.fill("#weight", "7.5")
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_have_text("s1:2-s3:2 has weight 7.5")
    assert [one.weight for one in given(live, LinkWeighed)] == [7.5]
    page.click("[aria-label='Weigh s1:2-s3:2']")
    page.fill("#weight", "0")
    page.evaluate("document.querySelector('#weight').removeAttribute('min')")
    page.click("#ask-yes")
    expect(page.locator("#ask-refused")).not_to_be_empty()  # the controller's own words
    assert len(given(live, LinkWeighed)) == 1


@pytest.mark.row("D-7.2")
def test_a_policy_is_compared_and_rolled_back(visit: Open, live: LivePage) -> None:
    live.control.replace_policy("policy: 1\neligible: {ports: [443]}\n", "tests", False)
    page = visit().inside()
    page.click("#tab-policy")
    page.click("[aria-label='Compare version 1']")
    expect(page.locator(".diff [data-sign='-']")).to_have_text("- eligible: {ports: [443]}\n")
    page.click("text=Roll back to version 1")
    expect(page.locator("#ask-body")).to_contain_text("live sessions keep their MCP")
    assert len(live.control.texts) == 2
    page.click("#ask-yes")
    expect(page.locator("#told")).to_have_text("Version 3 is in force")
    assert live.control.texts[-1] == "policy: 1\n"


@pytest.mark.row("D-2.7")
def test_what_if_by_clicking_an_access_and_a_server(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    page.click("[data-id='access lte']")
    page.click("[data-id='gateway internet']")
    expect(page.locator("#whatif-answer .decided")).to_contain_text("It is led to MCP")
    assert page.input_value("#whatif-source") == "10.1.0.2"
    assert page.input_value("#whatif-destination") == "10.9.0.2"
    expect(page.locator(".way.pinned")).to_have_count(1)
    page.click("[data-id='access wlan']")
    page.click("[data-id='gateway internet']")
    expect(page.locator("#whatif-answer")).to_contain_text("no MCP is left")
    expect(page.locator("#whatif-answer")).to_contain_text("the way through it is too long")
    expect(page.locator(".way")).to_have_count(0)
    page.fill("#whatif-destination", "nowhere")
    page.click("#whatif button")
    expect(page.locator("#whatif-refused")).to_contain_text("IP address")
