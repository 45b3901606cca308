from __future__ import annotations

import asyncio

from sumun.proxy.relay import End, join


def test_an_idle_tunnel_is_closed_and_a_busy_one_is_not() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        server = await asyncio.start_server(lambda r, w: accepted.put_nowait((r, w)), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        lost = asyncio.Event()
        _, client = await loop.create_connection(lambda: End(lost.set), "127.0.0.1", port)
        _, origin = await loop.create_connection(End, "127.0.0.1", port)
        (client_reader, client_writer), (origin_reader, origin_writer) = [await accepted.get() for _ in range(2)]
        join(client, origin, idle=0.2)
        for _ in range(8):  # twice the time after which silence would have ended it
            client_writer.write(b"x")
            assert await origin_reader.readexactly(1) == b"x"
            await asyncio.sleep(0.1)
        assert not lost.is_set()
        async with asyncio.timeout(2):
            await lost.wait()
            assert await client_reader.read() == b""
        for writer in (client_writer, origin_writer):
            writer.close()
        server.close()
        assert client.timer is not None
        assert client.timer.cancelled() or client.timer.when() <= loop.time()

    asyncio.run(main())
