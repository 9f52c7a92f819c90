"""Any order of shipments, returns, credits and lines taken off: nothing exceeds what was bought.

The shop here is the rules of goods and credits; what inventory would hear is counted beside it.
"""

import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from merkato.contracts.problem import StateConflict, Validation
from merkato.orders.domain import credits, goods
from merkato.orders.domain.credits import Money, MoneyWish
from merkato.orders.domain.goods import Goods, Wish

PIECES, LINE_NO = st.integers(1, 6), st.integers(1, 3)
HOW = st.sampled_from([None, "keep", "share"])


class AfterSale(RuleBasedStateMachine):
    """One confirmed order."""

    @initialize(
        lines=st.lists(st.tuples(PIECES, st.integers(0, 10_000)), min_size=1, max_size=3),
        shipping=st.integers(0, 900),
    )
    def confirm(self, lines, shipping):
        self.lines = {
            n: Goods(line_no=n, sku=f"S{n}", title="", quantity=quantity, tracked=True,
                     tax_minor=gross * 19 // 119, gross_minor=gross)
            for n, (quantity, gross) in enumerate(lines, 1)
        }  # fmt: skip
        self.shipping = Money(gross_minor=shipping, tax_minor=shipping * 19 // 119)
        self.paid = self.left
        self.given, self.on_shelf = 0, 0
        self.announced = []  # open returns: {line: pieces}

    @property
    def left(self):
        rest = sum(credits.left(one).gross_minor for one in self.lines.values())
        return rest + self.shipping.gross_minor

    def put(self, changed):
        self.lines |= {line.line_no: line for line in changed}

    def book(self, parts):
        self.put(credits.book(self.lines, parts))
        for part in parts:
            assert min(part.net_minor, part.tax_minor, part.quantity) >= 0
            self.given += part.gross_minor
            if part.line_no == credits.SHIPPING:
                self.shipping = Money(
                    gross_minor=self.shipping.gross_minor - part.gross_minor,
                    tax_minor=self.shipping.tax_minor - part.tax_minor,
                )

    @rule(n=LINE_NO, quantity=PIECES, all_of_it=st.booleans())
    def ship(self, n, quantity, all_of_it):
        wish = None if all_of_it else [Wish(line_no=n, quantity=quantity)]
        with contextlib.suppress(Validation):
            self.put(line for line, _ in goods.ship(self.lines, wish))

    @rule(n=LINE_NO)
    def deliver(self, n):
        if n in self.lines and (on_its_way := self.lines[n].shipped - self.lines[n].delivered):
            self.put(goods.deliver(self.lines, {n: on_its_way}))

    @rule(n=LINE_NO, quantity=PIECES, how=HOW)
    def take_off(self, n, quantity, how):
        with contextlib.suppress(Validation):
            before = dict(self.lines)
            chosen = goods.cancel(self.lines, [Wish(line_no=n, quantity=quantity)])
            self.put(line for line, _ in chosen)
            self.on_shelf += quantity
            self.book(credits.for_pieces(before, {n: quantity}, self.shipping, how))

    @rule(n=LINE_NO, quantity=PIECES)
    def announce(self, n, quantity):
        with contextlib.suppress(Validation):
            chosen = goods.announce(self.lines, [Wish(line_no=n, quantity=quantity)])
            self.put(line for line, _ in chosen)
            self.announced.append({n: quantity})

    @rule(data=st.data(), how=HOW)
    def receive(self, data, how):
        if not self.announced:
            return
        wanted = self.announced.pop(data.draw(st.integers(0, len(self.announced) - 1)))
        [(n, quantity)] = wanted.items()
        received = data.draw(st.integers(0, quantity))  # 0: it is rejected
        restocked = data.draw(st.integers(0, received))
        parts = []
        if received:
            parts = credits.for_pieces(self.lines, {n: received}, self.shipping, how)
        self.put(goods.receive(self.lines, wanted, {n: (received, restocked)}))
        self.on_shelf += restocked
        self.book(parts)

    @rule(amount=st.integers(1, 12_000), n=st.one_of(st.none(), LINE_NO), part=st.integers(0, 900))
    def goodwill(self, amount, n, part):
        with contextlib.suppress(StateConflict, Validation):
            if n is None:
                self.book(credits.of_order(self.lines, amount, self.shipping))
            else:
                wish = [MoneyWish(line_no=n, amount_minor=amount)]
                self.book(credits.of_lines(self.lines, wish, self.shipping, part))

    @invariant()
    def counters_hold_as_the_database_wants_them(self):
        for line in self.lines.values():
            assert 0 <= line.cancelled <= line.quantity
            assert 0 <= line.shipped <= line.quantity - line.cancelled
            assert 0 <= line.delivered <= line.shipped
            assert line.announced >= 0
            assert line.returned + line.announced <= line.shipped
            assert 0 <= line.restocked <= line.returned
            assert 0 <= credits.left(line).tax_minor <= credits.left(line).gross_minor

    @invariant()
    def money_is_neither_lost_nor_made(self):
        assert self.given + self.left == self.paid
        assert 0 <= self.shipping.tax_minor <= self.shipping.gross_minor

    @invariant()
    def goods_are_neither_lost_nor_made(self):
        back = sum(line.cancelled + line.restocked for line in self.lines.values())
        assert back == self.on_shelf
        open_ = sum(sum(one.values()) for one in self.announced)
        assert open_ == sum(line.announced for line in self.lines.values())

    @invariant()
    def how_far_it_is_follows(self):
        far, lines = goods.fulfilment(self.lines.values()), self.lines.values()
        if far in ("shipped", "delivered", "returned", "partly_returned"):
            assert goods.complete(lines)
        if far == "returned":
            assert not any(line.kept for line in lines)

    def teardown(self):
        """All goes back: so does all the money."""
        if not hasattr(self, "lines"):
            return
        with contextlib.suppress(Validation):
            goods_left = {n: line.to_ship for n, line in self.lines.items() if line.to_ship}
            before = dict(self.lines)
            wishes = [Wish(line_no=n, quantity=q) for n, q in goods_left.items()]
            self.put(line for line, _ in goods.cancel(self.lines, wishes))
            self.on_shelf += sum(goods_left.values())
            self.book(credits.for_pieces(before, goods_left, self.shipping, "keep"))
        rest = {n: line.kept for n, line in self.lines.items() if line.kept}
        self.book(credits.for_pieces(self.lines, rest, self.shipping, None))
        assert self.left == (0 if rest else self.shipping.gross_minor)


AfterSale.TestCase.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
TestAfterSale = AfterSale.TestCase
