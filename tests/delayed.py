"""A database that answers late: a proxy in front of it that holds every piece back for a while.

What takes microseconds on one machine takes milliseconds here, so that whoever reads before they
write, or counts before they commit, is overtaken.
"""

import asyncio
import random
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


@asynccontextmanager
async def delayed(dsn, *, most_s=0.01, seed=7):
    """Give the DSN of the same database behind a proxy: each piece waits up to `most_s` seconds.

    Each way of a connection is passed on in order. The connections end with the block.
    """
    place, dice, open_ = urlsplit(dsn), random.Random(seed), set()

    async def pump(reader, writer):
        try:
            while piece := await reader.read(65_536):
                await asyncio.sleep(dice.random() * most_s)
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass  # the other side is gone; so are we
        finally:
            writer.close()

    async def serve(reader, writer):
        there = await asyncio.open_connection(place.hostname, place.port)
        ways = asyncio.gather(pump(reader, there[1]), pump(there[0], writer))
        open_.add(ways)
        await asyncio.wait([ways])
        open_.discard(ways)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    who = place.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(place._replace(netloc=f"{who}@127.0.0.1:{port}"))
    finally:
        server.close()
        ended = list(open_)
        for ways in ended:
            ways.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
