"""Who gets in, what a role sees, and where the token goes: into a header, and nowhere else."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit
from tests.support.fixed_view import TOKEN, token_of
from tests.support.live_page import LivePage

Open = Callable[..., Visit]


@pytest.mark.row("N-7.1", "D-7.2")
def test_without_a_good_token_there_is_only_the_door(visit: Open, live: LivePage) -> None:
    tab = visit()
    page = tab.enter("nobodys-token-" + "z" * 30)
    expect(page.locator("#refused")).to_have_text("The controller does not know this token.")
    expect(page.locator("#page")).to_be_hidden()
    page.fill("#token", token_of("device"))
    page.click("#login button")
    expect(page.locator("#refused")).to_contain_text("a reader's or an operator's is needed")
    assert page.evaluate("sessionStorage.length + localStorage.length + document.cookie.length") == 0
    assert page.locator(".node").count() == 0


@pytest.mark.row("D-7.2")
def test_a_reader_sees_and_an_operator_acts(visit: Open, live: LivePage) -> None:
    wanted = {"reader": 0, "operator": 1}
    for role, buttons in wanted.items():
        page = visit().inside(token_of(role))
        expect(page.locator("#role")).to_have_text(role)
        expect(page.locator("#tab-policy")).to_be_visible(visible=bool(buttons))
        page.click(".row")
        expect(page.locator("#why")).to_be_visible()
        expect(page.locator("#picked .danger")).to_have_count(buttons)
        page.click("#tab-mcps")
        expect(page.locator(".mcp.card")).to_have_count(2)
        expect(page.locator(".mcp.card button")).to_have_count(2 * buttons)
        page.click("#tab-links")
        expect(page.locator("#panel-links tbody tr")).to_have_count(4)
        expect(page.locator("#panel-links tbody button")).to_have_count(4 * buttons)


@pytest.mark.row("N-7.1")
def test_the_token_is_kept_for_the_tab_and_is_in_no_address(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    assert page.evaluate("Object.values(sessionStorage)") == [TOKEN]
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    page.reload()
    page.wait_for_selector("#link[data-state=live]")
    assert page.url.endswith("/ui/")
    assert live.paths and not [path for path in live.paths if TOKEN in path]
    page.click("#leave")
    expect(page.locator("#door")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
