"""A client of the shop in Python: the requests that programs send, typed, repeated where harmless.

    async with Client("https://shop.example", key="mk_…") as shop:
        placed = await shop.place_order({...})

Requests are sent again when nobody answered or the shop was busy: reads always, writes under their
Idempotency-Key. A refusal is raised as `Refused`, with the problem the shop answered (RFC 9457).
"""

from merkato.client.calls import Client
from merkato.client.wire import NoAnswer, Refused

__all__ = ["Client", "NoAnswer", "Refused"]
