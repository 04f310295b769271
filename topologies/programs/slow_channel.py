"""A slow OpenFlow channel: what a switch sends reaches the controller after a delay, what the controller sends goes
on at once.

With it a join always reaches the controller before the SYN/ACK that carries its session's key. Usage: `python -m
topologies.programs.slow_channel LISTEN TO DELAY_MS`, ports of loopback.
"""

import asyncio
import sys

CHUNK = 1 << 16


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float) -> None:
    """Copy bytes from source to sink in order, each chunk `delay` seconds late."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=10_000)

    async def deliver() -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                sink.close()
                return
            sink.write(data)
            await sink.drain()

    task = asyncio.create_task(deliver())
    try:
        while data := await source.read(CHUNK):
            await queue.put((loop.time() + delay, data))
    except ConnectionError:
        pass
    await queue.put((loop.time(), b""))
    await asyncio.gather(task, return_exceptions=True)


async def main(listen: int, to: int, delay_ms: int) -> None:
    """Serve until killed."""

    async def serve(up: asyncio.StreamReader, up_back: asyncio.StreamWriter) -> None:
        try:
            down, down_out = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            up_back.close()  # there is no controller: closing tells the switch, which then tries again
            return
        await asyncio.wait(
            [
                asyncio.create_task(pump(up, down_out, delay_ms / 1000)),
                asyncio.create_task(pump(down, up_back, 0.0)),
            ],
            return_when=asyncio.FIRST_COMPLETED,
        )
        up_back.close()
        down_out.close()

    server = await asyncio.start_server(serve, "127.0.0.1", listen)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*(int(word) for word in sys.argv[1:4])))
