"""Keyboard, screen readers, dark and light, a phone: axe-core finds nothing, and a mouse is not needed."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.browser import PHONE, Visit
from tests.support.live_page import LivePage

Open = Callable[..., Visit]


def violations(page: Page) -> list[str]:
    """What axe-core finds, a line each."""
    found: Any = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_axe_finds_no_violation(visit: Open, live: LivePage, look: str) -> None:
    tab = visit(color_scheme=look)
    tab.page.goto(live.url + "/ui/")
    expect(tab.page.locator("#door")).to_be_visible()
    assert violations(tab.page) == []
    page = tab.inside()
    page.click(".row")
    expect(page.locator("#why")).to_be_visible()
    assert violations(page) == []
    for name in ("mcps", "links", "whatif", "events", "policy"):
        page.click(f"#tab-{name}")
        expect(page.locator(f"#panel-{name}")).to_be_visible()
        assert violations(page) == [], name
    page.click("#picked .danger")
    assert violations(page) == []


def test_nothing_is_told_by_colour_alone(visit: Open) -> None:
    """Who sees no colours tells all uses of a link apart, and a switch or MCP that is lost or drained."""
    page = visit().inside()
    marks = """([one, name, values, part]) => {
        const found = document.querySelector(one);
        const drawn = part ? found.querySelector(part) : found;
        return values.map((value) => {
            found.setAttribute(name, value);
            const style = getComputedStyle(drawn);
            return `${style.strokeWidth} ${style.strokeDasharray}`;
        });
    }"""
    uses = ["low", "mid", "high", "full", "unknown", "lost"]
    drawn = page.evaluate(marks, [".link[data-name]", "data-use", uses, None])
    assert len(set(drawn)) == len(uses), drawn
    for name, values in (("data-up", ["yes", "no"]), ("data-health", ["up", "draining"])):
        drawn = page.evaluate(marks, [".node.mcp", name, values, "rect"])
        assert len(set(drawn)) == len(values), (name, drawn)
        page.evaluate("(name) => document.querySelector('.node.mcp').setAttribute(name, 'yes')", name)


def test_a_phone_is_wide_enough(visit: Open, live: LivePage) -> None:
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True).inside()
    page.click(".row")
    expect(page.locator("#why")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert violations(page) == []


def test_a_keyboard_is_enough(visit: Open, live: LivePage) -> None:
    live.more(3)
    page = visit().inside()
    expect(page.locator(".row")).to_have_count(4)
    page.focus("#list")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#picked-title")).to_have_text("Session 1")
    page.focus(".node[tabindex='0']")
    page.keyboard.press("ArrowRight")
    reached = page.evaluate("document.activeElement.dataset.id")
    page.keyboard.press("ArrowLeft")
    assert reached != page.evaluate("document.activeElement.dataset.id")
    page.focus("[data-id='mcp core']")
    page.evaluate("document.querySelector(\"[data-id='mcp core']\").focus()")
    page.focus("#tab-sessions")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#panel-mcps")).to_be_visible()
