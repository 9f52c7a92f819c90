"""A look at a process over HTTP, without the weight of a client."""

import asyncio
from contextlib import suppress


async def status_of(host: str, port: int, path: str, within_s: float = 5.0) -> int | None:
    """Give the status of `GET path`; None when there is no answer."""
    with suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    return None
