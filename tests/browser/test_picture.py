"""What is drawn is what REST tells, and follows the events."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from steering.core.inputs import LinkDown, LinkUp, McpAdmin, PortLoad, SwitchDown
from steering.model.network import PortRef
from tests.support.browser import Chromium, Visit
from tests.support.live_page import LivePage
from tests.support.sites import UE_WLAN, join, off_path_site

Open = Callable[..., Visit]


def drawn(page: Page, what: str, attribute: str) -> dict[str, str]:
    """By name the value of an attribute of everything of a kind."""
    return page.evaluate(
        "([what, by, of]) => Object.fromEntries([...document.querySelectorAll(what)].map((one) => "
        "[one.getAttribute(by), one.getAttribute(of)]))",
        [what, "data-id" if what == ".node" else "data-name", attribute],
    )


def words(page: Page, region: str) -> list[list[str]]:
    """The cells of a table."""
    rows = page.locator(f"[role=region][aria-label='{region}'] tbody tr")
    return [[cell.strip() for cell in row.locator("td").all_inner_texts()] for row in rows.all()]


@pytest.mark.row("D-1.d")
def test_the_network_is_that_of_rest(visit: Open, live: LivePage) -> None:
    live.give(PortLoad(1, 2, 0.5), PortLoad(2, 2, 0.95))
    page = visit().inside()
    layout = live.get("/v1/topology/layout")
    assert set(drawn(page, ".node", "data-id")) == {node["id"] for node in layout["nodes"]}
    uses = {link["name"]: link["use"] for link in layout["links"]}
    assert uses == {"s1:2-s3:2": 0.5, "s2:2-s4:3": 0.95, "s3:3-s4:2": None, "s4:4-s5:2": None}
    steps = {0.5: "mid", 0.95: "full", None: "unknown"}
    assert drawn(page, ".link[data-name]", "data-use") == {name: steps[use] for name, use in uses.items()}
    across = {
        one: page.locator(f"[data-id='{one}']").bounding_box()
        for one in ("access lte", "switch s3", "gateway internet")
    }
    left, middle, right = (box["x"] for box in across.values() if box is not None)
    assert left < middle < right
    for mcp in live.get("/v1/mcps")["mcps"]:
        expect(page.locator(f"[data-id='mcp {mcp['name']}'] .note")).to_contain_text(
            f"{mcp['sessions']} session"
        )
    expect(page.locator("#state")).to_contain_text("5 of 5 switches")


@pytest.mark.row("D-1.d")
def test_what_is_lost_turns_red_where_it_is_and_returns(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    places = drawn(page, ".node", "transform")
    ends = PortRef(1, 2), PortRef(3, 2)
    live.give(LinkDown(*ends), LinkDown(*reversed(ends)), SwitchDown(5))
    expect(page.locator("[data-name='s1:2-s3:2']")).to_have_attribute("data-use", "lost")
    expect(page.locator("[data-id='switch s5']")).to_have_attribute("data-up", "no")
    expect(page.locator("[data-id='switch s5'] .lost")).to_be_visible()
    assert drawn(page, ".node", "transform") == places
    live.give(LinkUp(*ends), LinkUp(*reversed(ends)))
    expect(page.locator("[data-name='s1:2-s3:2']")).to_have_attribute("data-use", "unknown")


@pytest.mark.row("D-1.d")
def test_what_is_dragged_stays_where_it_was_put_in_this_browser(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    places = drawn(page, ".node", "transform")
    box = page.locator("[data-id='switch s3']").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 90, steps=4)
    page.mouse.up()
    expect(page.locator("[data-id='switch s3']")).not_to_have_attribute("transform", places["switch s3"])
    moved = drawn(page, ".node", "transform")
    assert [name for name in places if moved[name] != places[name]] == ["switch s3"]
    page.reload()
    page.wait_for_selector(".node")
    assert drawn(page, ".node", "transform") == moved
    assert drawn(visit().inside(), ".node", "transform") == places, (
        "of others nothing was moved, and a load moves nothing"
    )
    page.click("#replace")
    expect(page.locator("[data-id='switch s3']")).to_have_attribute("transform", places["switch s3"])


@pytest.mark.row("D-2.1", "D-4.2c")
def test_a_picked_session_lights_up_and_is_explained(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    (session,) = live.get("/v1/sessions")["sessions"]
    paths = live.get(f"/v1/sessions/{session['id']}/paths")
    decision = live.get(f"/v1/decisions/{session['id']}")
    page.click(".row")
    expect(page.locator("#why")).to_have_text("It aggregates: lte and wlan carry it together to MCP core.")
    expect(page.locator(".way.pinned")).to_have_count(len(paths["subflows"]))
    expect(page.locator(".way.natural")).to_have_count(len(paths["subflows"]))
    lit = {name for name, value in drawn(page, ".node", "data-lit").items() if value == "yes"}
    through = {
        f"switch {name}"
        for one in paths["subflows"]
        for name in (*one["natural"], *one["pinned"], *paths["onward"])
    }
    assert lit == through | {"access lte", "access wlan", "mcp core", "gateway internet"}
    told = words(page, "Subflows")
    assert [row[3:5] for row in told] == [["lte", "initial"], ["wlan", "join"]]
    assert [row[7] for row in told] == [" › ".join(one["natural"]) for one in paths["subflows"]]
    assert [row[6] for row in told] == ["s1 › s3 › [core] › s4", "s2 › s4 › s3 › [core] › s4"]
    subflows = live.get(f"/v1/sessions/{session['id']}")["subflows"]
    carried = [f"{one['access_network']}1 subflow, {one['bytes'] or 0} B" for one in subflows]
    assert page.locator(".bars li").all_text_contents() == carried
    expect(page.locator(".decided")).to_contain_text("It is led to MCP core by the policy's own terms")
    assert [row[0].removesuffix(" ✓") for row in words(page, "Candidates")] == [
        one["mcp"] for one in decision["candidates"]
    ]
    page.keyboard.press("Escape")
    page.click("#picked-tools .quiet")
    expect(page.locator(".way")).to_have_count(0)


def test_a_session_of_one_access_says_why_it_does_not_aggregate(visit: Open, live: LivePage) -> None:
    live.more(1)
    page = visit().inside()
    page.fill("#filter-text", ":41000")
    expect(page.locator(".row")).to_have_count(1)
    page.click(".row")
    expect(page.locator("#why")).to_contain_text("one subflow, by lte, none by wlan")
    with live.lock:
        live.driver.syn(2, 1, join(UE_WLAN, 40_002, live.driver.table.by_id[2].token.to_bytes(4, "big")))
    live.look()
    expect(page.locator("#why")).to_contain_text("It aggregates")
    expect(page.locator(".timeline")).to_contain_text("session 2 has 2 subflows, it had 1")


@pytest.mark.row("D-2.1")
def test_events_arrive_and_survive_a_lost_stream(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    expect(page.locator(".row")).to_have_count(1)
    live.more(3)
    live.look()
    expect(page.locator(".row")).to_have_count(4)
    live.north.hub.close()  # every stream ends, as when the controller starts again
    live.more(2, 42_000)
    expect(page.locator("#link")).to_have_attribute("data-state", "live")
    expect(page.locator(".row")).to_have_count(6)
    live.give(McpAdmin(live.driver.engine.site.mcps[0].id, True))
    expect(page.locator("[data-id='mcp core']")).to_have_attribute("data-health", "draining")
    page.click("#tab-events")
    expect(page.locator("#events")).to_contain_text("session 2 began: 10.1.0.2:41000 → 10.9.0.2:5201")


def test_a_hostile_name_is_a_name(browser: Chromium) -> None:
    site = off_path_site()
    name = "<img src=x onerror=alert(1)>"
    core, edge = site.mcps
    hostile = replace(site, mcps=(replace(core, name=name), edge))
    with LivePage(hostile).served(browser.listening()) as live:
        live.aggregated()
        tab = Visit(browser, live)
        page = tab.inside()
        page.click(".row")
        expect(page.locator("#why")).to_contain_text(name)
        page.click("#tab-mcps")
        expect(page.locator(".mcp.card h3").first).to_contain_text(name)
        assert page.locator("img").count() == 0
        tab.close()
        assert tab.faults == []
