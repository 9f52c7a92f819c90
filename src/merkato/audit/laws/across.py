"""Laws across databases: what inventory, payments and notifications know of one order, compared.

Pure: each function is given the rows of one order (None where a service has none) and says why the
law is broken, or None.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

Facts: TypeAlias = Mapping[str, Any] | None


def s4(order: Facts, hold: Facts) -> str | None:
    """Compare the goods of an order with what left the shelves for it."""
    committed, returned = (hold["committed"], hold["returned"]) if hold else (None, None)
    if order is None:
        return f"no such order, yet {committed} left the shelf" if committed else None
    if order["status"] == "confirmed":
        if committed != order["goods"]:
            return f"ordered {order['goods']}, committed {committed}"
        if returned != order["back"]:
            return f"came back {returned}, taken off and restocked {order['back']}"
    elif order["status"] == "placed":
        return f"not confirmed, yet {committed} left the shelf" if committed else None
    elif committed != returned:
        return f"cancelled, committed {committed}, came back {returned}"
    elif order["confirmed"] and order["reason"] != "stock-lost" and committed != order["goods"]:
        return f"was confirmed, ordered {order['goods']}, committed {committed}"
    elif committed and not order["confirmed"]:
        return f"never confirmed, yet {committed} left the shelf"
    return None


def s5(order: Facts, hold: Facts) -> str | None:
    """Look for holds that nobody needs."""
    if hold is None or hold["state"] != "held":
        return None
    if order is None:
        if hold["kept"]:
            return "kept for an order that does not exist"
        return "held beyond its time, without an order" if hold["overdue"] else None
    return None if order["status"] == "placed" else f"still held, the order is {order['status']}"


def m3(order: Facts, payment: Facts) -> str | None:
    """Compare what an order costs with what was taken and is promised."""
    if order is None or order["status"] == "placed":
        return None
    if order["status"] == "confirmed":
        return _owed(order, payment)
    net = payment["net"] if payment else 0
    promised = payment["promised"] if payment else 0
    going_back = payment["refunding"] if payment else 0
    if net not in (0, going_back):
        return f"cancelled, yet {net} is kept and {going_back} going back"
    if payment and promised > 0 and not payment["voiding"]:
        return f"cancelled, yet {promised} is promised"
    if payment and payment["state"] in ("sent", "unknown", "action_required"):
        return f"cancelled, yet its payment is {payment['state']}"
    return None


def _owed(order: Mapping[str, Any], payment: Facts) -> str | None:
    owed = order["grand_minor"] - order["credited_minor"]
    if payment is None:
        return f"costs {owed}, and has no payment" if owed else None
    net, promised, going_back = payment["net"], payment["promised"], payment["refunding"]
    if payment["credited"] != order["credited_minor"]:
        return f"credited {order['credited_minor']}, payments knows of {payment['credited']}"
    by_card = order["payment_method"] == "card"
    shipped = order["fulfilment_status"] not in ("unfulfilled", "partial")
    if by_card and shipped and promised > 0 and not (payment["capturing"] or payment["voiding"]):
        return f"shipped, yet {promised} of the card's promise was not taken"
    charged = by_card and order["payment_status"] in ("paid", "partly_refunded", "refunded")
    has = net if charged or payment["voiding"] else net + promised
    if owed in (has, has - going_back):
        return None
    return f"costs {owed}, taken {net}, promised {promised}, going back {going_back}"


def m4(order: Facts, payment: Facts) -> str | None:
    """Compare an order with its payment."""
    if payment is None:
        return None
    if order is None:
        return "a payment of an order that does not exist"
    if payment["payments"] > 1:
        return f"{payment['payments']} payments"
    if payment["charged"] > 1:
        return f"charged by {payment['charged']} attempts"
    if (payment["amount"], payment["currency"]) != (order["grand_minor"], order["currency"]):
        return (
            f"over {payment['amount']} {payment['currency']}, "
            f"the order over {order['grand_minor']} {order['currency']}"
        )
    return None


def m7(order: Facts, payment: Facts) -> int:
    """Give by how much the ledger and the order differ, in minor units."""
    if order is not None and order["status"] == "placed":
        return 0
    kept = payment["kept"] if payment else 0
    under_way = payment is not None and (payment["refunding"] or payment["voiding"])
    if order is None or order["status"] == "cancelled":
        return 0 if under_way else kept
    owed = order["grand_minor"] - order["credited_minor"]
    going_back = payment["refunding"] if payment else 0
    if payment and payment["voiding"]:
        kept -= payment["promised"]
    return 0 if owed in (kept, kept - going_back) else kept - owed


def n1(order: Facts, mails: Facts) -> str | None:
    """Compare what became of an order with what was mailed about it."""
    confirmed = mails["confirmed"] if mails else 0
    if order is None or not order["confirmed"]:
        return f"never confirmed, yet {confirmed} mails say so" if confirmed else None
    if confirmed != 1 and (confirmed or order["reachable"]):
        return f"{confirmed} mails confirm it"
    if mails:
        for step in ("placed", "cancelled"):
            if mails[step] > 1:
                return f"{mails[step]} mails say that it was {step}"
    return None
