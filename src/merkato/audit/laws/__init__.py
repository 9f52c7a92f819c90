"""The laws, each in one sentence; the files beside this one hold the statements that check them."""

LAWS = {
    "S1": "What is on hand of a sku is the sum of its journal.",
    "S2": "What is reserved of a sku is the sum of its open holds.",
    "S3": "Reserved lies between zero and what is on hand.",
    "S4": "A confirmed order took exactly its goods; of a cancelled one everything is back.",
    "S5": "No hold outlives its order, and none without an order outlives its time.",
    "M1": "Gross is net plus tax in every line, and an order's total is the sum of the gross.",
    "M2": "Refunded ≤ captured ≤ authorised for every payment, as its operations say.",
    "M3": "A confirmed order is paid or promised what it costs; a cancelled one costs nothing.",
    "M4": "An order has one payment, in its currency, over its total, charged in one attempt.",
    "M5": "What we think was captured and refunded is what the processor's ledger says.",
    "M6": "Every posting sums to zero, and every operation that came about is posted.",
    "M7": "Over the whole shop the ledger holds what confirmed orders cost, per currency.",
    "K1": "No coupon is held and used more often than it may be, by all or by one customer.",
    "O1": "An order makes legal steps only, each end at most once, and stands where they led.",
    "O2": "No order stands still for a minute, unless it waits for its customer.",
    "N1": "An order was confirmed if and only if one confirmation was mailed; one mail per fact.",
    "E1": "Each step made one event, numbered without gap, published in 30 s, heard once by all.",
    "T1": "The audit trail is one unbroken chain and holds what every service noted.",
    "W1": "Whatever a webhook wants is delivered to it, scheduled, or given up with a reason.",
    "I1": "One principal and key make at most one order.",
    "D1": "Every order acknowledged to a client exists, and none that nobody sent.",
}
SET_ASIDE = "set aside"
SET_ASIDE_SAYS = "Events that a service could not handle wait for people: merkato dead-letters."
