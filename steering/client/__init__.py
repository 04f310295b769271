"""A client of the controller for Python programs: a typed method for every REST route, and a generator of events.

    from steering.client import SteeringClient

    controller = SteeringClient.at("http://127.0.0.1:8080", token_file="token")
    for session in controller.sessions(mcp="core")["sessions"]:
        print(session["id"], session["state"])
    for event in controller.events(kinds={"session"}):
        print(event.kind, event.data)

And the same for asyncio:

    controller = AsyncSteeringClient.at(state_dir="/var/lib/steering")
    status = await controller.status()
    async with aclosing(controller.events()) as events:
        async for event in events:
            print(event.kind, event.data)

`records`, `operations` and `asynchronous_operations` are generated from the OpenAPI description. The client needs only the
standard library.
"""

from steering.cli.client import BadInput, NotAllowed, NotFound, Outdated, Rejected, Unavailable
from steering.cli.commands.events import ReceivedEvent
from steering.client.asynchronous import AsyncSteeringClient
from steering.client.controller import SteeringClient

__all__ = [
    "AsyncSteeringClient",
    "BadInput",
    "SteeringClient",
    "NotAllowed",
    "NotFound",
    "Outdated",
    "ReceivedEvent",
    "Rejected",
    "Unavailable",
]
