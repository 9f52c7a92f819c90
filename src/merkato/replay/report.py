"""The closing report: what became of every row, and whether the shop says the same. Pure.

Booked, left for a later run, and skipped add up to the file for each kind. Booked is what the shop
has: the money of its orders and credits is summed as it tells it and compared with the file's.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from merkato.replay.back import Taking
from merkato.replay.kinds import BACK, SAYS, Kind
from merkato.replay.plan import Plan, Sale, Step, Sum
from merkato.replay.rows import Unreadable
from merkato.replay.running import Order


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of one kind; `in_part`: rows of which some pieces are booked."""

    kind: Kind
    says: str
    rows: int
    units: int
    money: Decimal
    booked_rows: int
    booked_units: int
    booked_money: Decimal
    in_part_rows: int
    left_rows: int
    left_units: int
    left_money: Decimal
    skipped_rows: int
    skipped_units: int
    skipped_money: Decimal


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The same sums, by the file and by the shop, in minor units."""

    name: str
    file_minor: int
    shop_minor: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `exact`: the shop says what the file says, to the last minor unit."""

    exact: bool
    fates: tuple[Fate, ...]
    figures: tuple[Figures, ...]
    differing: tuple[str, ...]  # orders and credits that are not what the file says
    refused: Mapping[str, str]  # reference -> why
    unreadable: tuple[Unreadable, ...]


class _Booked(msgspec.Struct):
    """What is booked, or left for later, of a kind."""

    done: Sum
    left: Sum
    in_part: int = 0


def report(
    plan: Plan,
    steps: Sequence[Step],
    shop: Mapping[str, Order],
    credited: Mapping[str, int],
    refused: Mapping[str, str],
    sales: Mapping[str, Mapping[str, int]],
    decimals: int,
) -> Report:
    """Make the report. `sales`: what the shop's reports say, by name and key, in minor units."""
    booked = {kind: _Booked(Sum(), Sum()) for kind in Kind}
    chosen = {step.reference for step in steps}
    differing = _sales(plan, shop, chosen, booked)
    differing += _takings(plan, credited, chosen, booked, decimals)
    known = {step.reference for step in plan.steps}
    differing += [f"{reference} is not in the file" for reference in {*shop, *credited} - known]
    figures = [*_sums(shop, credited, booked, decimals), *_by(plan, shop, sales)]
    exact = not differing and all(one.file_minor == one.shop_minor for one in figures)
    return Report(
        exact=exact,
        fates=tuple(_fate(kind, plan.sums[kind], booked[kind]) for kind in Kind),
        figures=tuple(figures),
        differing=tuple(sorted(differing)),
        refused=dict(refused),
        unreadable=plan.unreadable,
    )


def _sales(
    plan: Plan, shop: Mapping[str, Order], chosen: set[str], booked: Mapping[Kind, _Booked]
) -> list[str]:
    differing = []
    for sale in plan.steps:
        if not isinstance(sale, Sale):
            continue
        order = shop.get(sale.reference)
        if order is None and sale.reference in chosen:
            continue
        for kind, some in sale.sums.items():
            total = booked[kind].left if order is None else booked[kind].done
            total.rows += some.rows
            total.units += some.units
            total.money += some.money
        if order is None:
            continue
        items = order.grand_minor - order.shipping_minor
        if (items, order.shipping_minor) != (sale.items_minor, sale.shipping_minor):
            differing.append(
                f"{sale.reference}: goods {items} and shipping {order.shipping_minor}, "
                f"in the file {sale.items_minor} and {sale.shipping_minor}"
            )
    return differing


def _takings(
    plan: Plan, credited: Mapping[str, int], chosen: set[str], booked: Mapping[Kind, _Booked],
    decimals: int,
) -> list[str]:  # fmt: skip
    differing = []
    done: dict[tuple[Kind, int], int] = defaultdict(int)
    left: set[tuple[Kind, int]] = set()
    for taking in plan.steps:
        if not isinstance(taking, Taking):
            continue
        amount = credited.get(taking.reference)
        if amount is None and taking.reference in chosen:
            continue
        if amount not in (None, taking.amount_minor):
            differing.append(
                f"{taking.reference}: {amount} credited, in the file {taking.amount_minor}"
            )
        for piece in taking.pieces:
            money = -Decimal(piece.minor).scaleb(-decimals)
            total = booked[piece.kind].left if amount is None else booked[piece.kind].done
            total.units -= piece.units
            total.money += money
            if amount is None:
                left.add((piece.kind, piece.row))
            else:
                done[piece.kind, piece.row] += piece.units
    _rows_back(plan, done, left, booked)
    return differing


def _rows_back(
    plan: Plan, done: Mapping[tuple[Kind, int], int], left: set[tuple[Kind, int]],
    booked: Mapping[Kind, _Booked],
) -> None:  # fmt: skip
    """Count rows of credit notes: booked whole or in part, or left for later."""
    for (kind, row), units in done.items():
        if units == plan.back[row]:
            booked[kind].done.rows += 1
        else:
            booked[kind].in_part += 1
    for kind, _ in left - done.keys():
        booked[kind].left.rows += 1


def _fate(kind: Kind, whole: Sum, booked: _Booked) -> Fate:
    done, left = booked.done, booked.left
    return Fate(
        kind=kind,
        says=SAYS[kind],
        rows=whole.rows,
        units=whole.units,
        money=whole.money,
        booked_rows=done.rows,
        booked_units=done.units,
        booked_money=done.money,
        in_part_rows=booked.in_part,
        left_rows=left.rows,
        left_units=left.units,
        left_money=left.money,
        skipped_rows=whole.rows - done.rows - booked.in_part - left.rows,
        skipped_units=whole.units - done.units - left.units,
        skipped_money=whole.money - done.money - left.money,
    )


def _sums(
    shop: Mapping[str, Order], credited: Mapping[str, int], booked: Mapping[Kind, _Booked],
    decimals: int,
) -> list[Figures]:  # fmt: skip
    def of(*kinds: Kind) -> int:
        return int(sum((booked[kind].done.money for kind in kinds), Decimal(0)).scaleb(decimals))

    orders = list(shop.values())
    goods, postage = of(Kind.GOODS, Kind.OTHER_GOODS), of(Kind.POSTAGE)
    back = -of(*BACK)
    items = sum(order.grand_minor - order.shipping_minor for order in orders)
    shipping = sum(order.shipping_minor for order in orders)
    return [
        Figures(name="goods", file_minor=goods, shop_minor=items),
        Figures(name="shipping", file_minor=postage, shop_minor=shipping),
        Figures(name="credits", file_minor=back, shop_minor=sum(credited.values())),
        Figures(
            name="credited of orders",
            file_minor=back,
            shop_minor=sum(order.credited_minor for order in orders),
        ),
    ]


def _by(
    plan: Plan, shop: Mapping[str, Order], sales: Mapping[str, Mapping[str, int]]
) -> list[Figures]:
    """Compare what the shop's reports say of sales by month and by country."""
    file: dict[str, dict[str, int]] = {"month": defaultdict(int), "country": defaultdict(int)}
    for sale in plan.steps:
        if isinstance(sale, Sale) and sale.reference in shop:
            money = sale.items_minor + sale.shipping_minor
            file["month"][f"{sale.at:%Y-%m}"] += money
            file["country"][sale.country] += money
    return [
        Figures(
            name=f"{name} {key}", file_minor=file[name].get(key, 0), shop_minor=found.get(key, 0)
        )
        for name, found in sales.items()
        for key in sorted({*file[name], *found})
    ]
