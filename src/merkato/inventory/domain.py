"""The rules of stock and holds. Pure.

A hold is provisional while nobody knows of its order; only provisional holds end by the clock, and
orders is asked before. A hold of an order is ended by that order's own events:

held      --placed-->     held
held      --confirmed-->  committed          (the goods leave on_hand and reserved)
held      --cancelled-->  released
committed --cancelled-->  released           (the goods come back)
committed --returned-->   committed          (some of the goods come back)
none, expired  --placed | confirmed-->  taken again, or lost
none, expired  --cancelled-->           released: a tombstone that no request revives
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from merkato.contracts.inventory import StockLine
from merkato.contracts.problem import Problem

ON_HAND_MAX = 2_000_000_000  # pieces of one sku; PostgreSQL's integer ends a little above


class OutOfStock(Problem):
    """Some lines cannot be had; `missing` names their skus."""

    slug, status, title = "out-of-stock", 409, "Out of stock"


class Hold(StrEnum):
    """Where a reservation is in its life; NONE: there is no row."""

    NONE = "none"
    HELD = "held"
    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


class Heard(StrEnum):
    """What happened to the order."""

    PLACED = "placed"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    RETURNED = "returned"  # pieces of it came back, or are not wanted any more


class Move(msgspec.Struct, frozen=True):
    """What a step does to the stock of each line, per piece ordered."""

    to: Hold
    reserved: int = 0  # times the quantity
    on_hand: int = 0  # times the quantity
    takes: bool = False  # needs free stock: if there is none, the reservation is lost


def step(state: Hold, heard: Heard) -> Move:
    """Say what an order's event does to its hold. Total: every pair has an answer."""
    match state, heard:
        case Hold.HELD, Heard.PLACED:
            return Move(Hold.HELD)
        case Hold.HELD, Heard.CONFIRMED:
            return Move(Hold.COMMITTED, reserved=-1, on_hand=-1)
        case Hold.HELD, Heard.CANCELLED:
            return Move(Hold.RELEASED, reserved=-1)
        case Hold.COMMITTED, Heard.CANCELLED:
            return Move(Hold.RELEASED, on_hand=+1)
        case Hold.COMMITTED, Heard.RETURNED:
            return Move(Hold.COMMITTED, on_hand=+1)
        case ((Hold.NONE | Hold.EXPIRED), Heard.PLACED):
            return Move(Hold.HELD, reserved=+1, takes=True)
        case ((Hold.NONE | Hold.EXPIRED), Heard.CONFIRMED):
            return Move(Hold.COMMITTED, on_hand=-1, takes=True)
        case ((Hold.NONE | Hold.EXPIRED), Heard.CANCELLED):
            return Move(Hold.RELEASED)
        case _:
            return Move(state)


def merged(lines: Iterable[StockLine]) -> dict[str, int]:
    """Sum lines by sku, in the order of skus."""
    wanted: Counter[str] = Counter()
    for line in lines:
        wanted[line.sku] += line.quantity
    return dict(sorted(wanted.items()))


def body_of(wanted: Mapping[str, int]) -> bytes:
    """Hash merged lines: two reservations are one only if their bodies are equal."""
    return hashlib.sha256(msgspec.json.encode(sorted(wanted.items()))).digest()


def availability(available: int, threshold: int) -> str:
    """Tell a customer: yes, few or no."""
    if available <= 0:
        return "no"
    return "few" if available <= threshold else "yes"
