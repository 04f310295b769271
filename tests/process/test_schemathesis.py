"""schemathesis against the live northbound: what OpenAPI says is what is answered, whatever is asked."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from steering.core.snapshots.view import EngineView
from steering.model.policy import Policy, PolicyRule, RuleConditions, Subscriber, Terms
from steering.northbound.resources.routes import ROUTES
from steering.northbound.schema.representation import JsonView
from tests.support.driven import Driven
from tests.support.fixed_view import TOKEN, north
from tests.support.sites import UE_WLAN, Driver, join, nets

EXAMPLES = 20

# What a client may mean well and still be told off for: there is no such thing, it was changed meanwhile, a
# reference leads nowhere, a policy or question has findings. The schema cannot say these. A session that is to be aborted
# (202) is there until its ends were told.
SETTINGS = """
[[operations]]
include-path-regex = "^/v1/mcps/"
parameters = { "path.name" = "core" }

[[operations]]
include-path-regex = "^/v1/access-networks/"
parameters = { "path.name" = "lte" }

[[operations]]
include-path-regex = "^/v1/links/"
parameters = { "path.name" = "s1:2-s3:2" }

[[operations]]
include-path-regex = "^/v1/reservations/"
parameters = { "path.id" = "0123456789abcdef" }

[[operations]]
include-path-regex = "^/v1/decisions/"
parameters = { "path.id" = "2" }

[[operations]]
include-path-regex = "^/v1/sessions/"
checks = { use_after_free.enabled = false }

[checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "412", "422", "428"]
negative_data_rejection.expected-statuses = ["400", "404", "405", "406", "412", "413", "414", "415", "422", "428"]
missing_required_header.expected-statuses = ["400", "401", "404", "422", "428"]
"""


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, Driven]]:
    """The real application over a real engine with sessions in it, on loopback."""
    rule = PolicyRule("own", RuleConditions(subscribers=frozenset({"acme"})), Terms())
    driver = Driver(
        policy=Policy(rules=(rule,), subscribers=(Subscriber("acme", prefixes=nets("10.1.0.0/24")),))
    )
    for port in range(40_000, 40_020):
        driver.session(sport=port)
    driver.syn(2, 1, join(UE_WLAN, 40001))
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    control = Driven(driver)
    made = north(view, driver.counters, control, now=lambda: driver.now)
    with make_server("127.0.0.1", 0, made.application, handler_class=Quiet) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}", control
        finally:
            http.shutdown()
            thread.join()


@pytest.mark.timeout(900)
def test_the_live_server_is_what_its_description_says(server: tuple[str, Driven], tmp_path: Path) -> None:
    url, control = server
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    command = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
        "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{url}/v1/openapi.json",
        "-H", f"Authorization: Bearer {TOKEN}", "-n", str(EXAMPLES), "--suppress-health-check", "all",
        "--continue-on-failure", "--exclude-path-regex", "/events$", "--seed", "1", "--no-color",
        "--warnings", "off",     ]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
    streams = sum(route.path.endswith("/events") for route in ROUTES)
    assert f"Tested: {len(ROUTES) - streams - 1}\n" in ran.stdout  # all but where it has the description from
    # It got through to the engine, and not only as far as the first check.
    given = Counter(type(one).__name__ for one in control.given)
    wanted = {"McpAdmin", "McpReport", "AccessChanged", "AbortSession"}
    assert wanted <= set(given), given
