"""A resolver over HTTPS (RFC 8484): one HTTP/2 connection for all questions, or several of HTTP/1.1."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sumun.upstream.http2 import Gone, Http2Client
from sumun.upstream.message import answers_question
from sumun.upstream.streams import StreamPool

ALPN = ["h2", "http/1.1"]


@dataclass(slots=True)
class HttpsPool:
    """Which of both is spoken is found out by the first connection."""

    streams: StreamPool
    _client: Http2Client | None = None
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _speaks_http1: bool = False

    async def ask(self, query: bytes) -> bytes:
        """Ask on the connection there is, or on a new one if that was closed meanwhile; raises OSError."""
        query = bytes(2) + query[2:]  # an id would only defeat caches (RFC 8484, 4.1)
        if self._client and self._client.usable:
            try:
                return await self._ask(self._client, query)
            except Gone:
                pass  # closed while idle, as servers do
        if not self._speaks_http1:
            client = await self._connected()
            if client:
                return await self._ask(client, query)
        return await self.streams.ask(query)

    async def close(self) -> None:
        """Close the connections kept open."""
        await self.streams.close()
        if self._client:
            await self._client.close()

    async def _ask(self, client: Http2Client, query: bytes) -> bytes:
        reply = await client.ask(query)
        if not answers_question(reply, query):
            self.streams.mismatched()
            raise OSError("an answer that does not match the question")
        return reply

    async def _connected(self) -> Http2Client | None:
        """A new connection, which those who come meanwhile share; None: the server speaks HTTP/1.1 only."""
        async with self._connecting:
            if self._client and self._client.usable:
                return self._client
            if self._client:
                await self._client.close()
                self._client = None
            if self._speaks_http1:
                return None
            stream = await self.streams.connect()
            agreed = stream[1].get_extra_info("ssl_object")
            if agreed is None or agreed.selected_alpn_protocol() != "h2":
                self._speaks_http1 = True
                self.streams.keep(stream)
                return None
            self._client = Http2Client(self.streams.upstream, *stream)
            return self._client
