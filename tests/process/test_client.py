"""`steering.client`, plain and asynchronous, against a running controller."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from itertools import islice
from pathlib import Path

import pytest

from steering.client import (
    AsyncSteeringClient,
    BadInput,
    NotAllowed,
    NotFound,
    ReceivedEvent,
    Rejected,
    SteeringClient,
    Unavailable,
)
from steering.client.asynchronous_operations import AsyncOperations
from steering.client.operations import Operations
from tests.support.controller_process import Running, free_port
from tests.support.rest_calls import steering
from tests.support.waiting import wait_for


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path) as one:
        yield one


def names() -> list[str]:
    return [name for name in vars(Operations) if not name.startswith("_")]


def test_both_clients_have_the_same_methods() -> None:
    assert names() == [name for name in vars(AsyncOperations) if not name.startswith("_")]
    assert len(names()) > 40
    assert all(asyncio.iscoroutinefunction(getattr(AsyncOperations, name)) for name in names())


def test_both_clients_ask_and_tell(running: Running) -> None:
    plain = SteeringClient.at(state_dir=str(running.state))
    client = AsyncSteeringClient.at(state_dir=str(running.state))

    async def ask() -> None:
        assert await client.mcp("core") == plain.mcp("core")
        health, mcps = await asyncio.gather(client.health(), client.mcps())
        assert health["status"] == "no-switch" and [one["name"] for one in mcps["mcps"]] == ["core"]
        assert (await client.drain("core"))["draining"] is True
        assert (await client.put_policy("policy: 1\n", dry_run=True))["dry_run"] is True
        assert await client.etag("policy") == plain.etag("policy")
        with pytest.raises(NotFound):
            await client.session("m-none")
        with pytest.raises(Rejected):
            await client.whatif({"source": "nowhere", "destination": "10.9.0.2", "port": 443})
        with pytest.raises(BadInput):
            await client.sessions(limit=-1)
        nobody = AsyncSteeringClient.at("http://127.0.0.1:1", token_file=str(running.state / "token"))
        with pytest.raises(Unavailable):
            await nobody.health()
        with pytest.raises(Unavailable):
            async for _ in nobody.events(again=False):
                raise AssertionError

    asyncio.run(ask())
    wait_for(lambda: plain.mcp("core")["health"] == "draining")  # 202: it is done at the engine's next turn


def streams(running: Running, wanted: int) -> None:
    limit = time.monotonic() + 30
    while running.metric("steering_event_streams") != wanted:
        assert time.monotonic() < limit, f"{running.metric('steering_event_streams')} streams"
        time.sleep(0.05)


async def first(events: AsyncGenerator[ReceivedEvent, None], count: int) -> list[ReceivedEvent]:
    told: list[ReceivedEvent] = []
    async with aclosing(events):
        async for event in events:
            told.append(event)
            if len(told) == count:
                break
    return told


def test_both_are_told_the_same_events(running: Running) -> None:
    plain = SteeringClient.at(state_dir=str(running.state))
    client = AsyncSteeringClient.at(state_dir=str(running.state))
    kept: list[list[ReceivedEvent]] = []

    def follow() -> None:
        with closing(plain.events(kinds={"drain"})) as events:
            kept.append(list(islice(events, 4)))

    async def drained() -> list[ReceivedEvent]:
        following = asyncio.create_task(first(client.events(kinds={"drain"}), 4))
        await asyncio.to_thread(streams, running, 2)
        for _ in range(2):
            await client.drain("core")
            await client.undrain("core")
        told = await asyncio.wait_for(following, 30)
        # Another one that saw the second gets what came after it.
        assert await first(client.events(kinds={"drain"}, after=told[1].id), 2) == told[2:]
        return told

    follower = threading.Thread(target=follow)
    follower.start()
    told = asyncio.run(drained())
    follower.join(30)
    assert kept == [told]
    assert [event.data["draining"] for event in told] == [True, False, True, False]


def test_events_go_on_when_the_controller_comes_back(running: Running) -> None:
    # The port of its own that it was given may be somebody else's by the time it comes back.
    running.command[running.command.index("--rest") + 1] = f"127.0.0.1:{free_port()}"
    running.end()
    running.start()

    async def followed() -> list[str]:
        client = AsyncSteeringClient.at(state_dir=str(running.state))
        async with aclosing(client.events()) as events:
            told = []
            pending = asyncio.create_task(anext(events))
            await asyncio.to_thread(streams, running, 1)
            await asyncio.to_thread(running.end)
            await asyncio.to_thread(running.start)
            await asyncio.to_thread(streams, running, 1)
            await client.drain("core")
            event = await asyncio.wait_for(pending, 30)
            while event.kind != "drain":
                told.append(event.kind)
                event = await asyncio.wait_for(anext(events), 30)
            return [*told, event.kind]

    assert asyncio.run(followed())[-1] == "drain"


@pytest.mark.parametrize("again", [True, False])
def test_a_token_that_is_taken_back_ends_the_iteration(running: Running, again: bool, tmp_path: Path) -> None:
    made = json.loads(steering(running, "token", "add", "--role", "reader", "--json").stdout)
    (tmp_path / "own").write_text(made["token"])
    (tmp_path / "own").chmod(0o600)
    url = (running.state / "rest").read_text().strip()
    client = AsyncSteeringClient.at(url, token_file=str(tmp_path / "own"))

    async def follow() -> None:
        task = asyncio.create_task(first(client.events(again=again), 1_000))
        await asyncio.to_thread(streams, running, 1)
        assert steering(running, "token", "revoke", made["id"]).returncode == 0
        await AsyncSteeringClient.at(state_dir=str(running.state)).drain("core")
        await asyncio.wait_for(task, 30)

    if again:
        with pytest.raises(NotAllowed):
            asyncio.run(follow())
    else:
        asyncio.run(follow())  # the stream ends, and nobody asks for another
