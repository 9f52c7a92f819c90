"""Hand mails that are due to the mail server.

Three phases, so that no transaction waits for the network: claim under a lease | render and hand
over | write down and say what became of the whole claim. A crash between the last two hands mails
over again, under the same Message-ID.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog
from jinja2 import TemplateError

from merkato.chassis.ask import Asks, Refusal
from merkato.chassis.failpoints import reach
from merkato.chassis.load import give_way
from merkato.chassis.service import Resources
from merkato.contracts.orders import OrdersAsked, OrderTokens
from merkato.contracts.problem import DependencyUnavailable, Problem, UpstreamTimeout
from merkato.contracts.users import Link
from merkato.notifications.actions import messages as actions
from merkato.notifications.actions import texts as refreshed
from merkato.notifications.domain.addresses import BadAddress
from merkato.notifications.domain.facts import ABOUT_ORDER, WITH_LINK
from merkato.notifications.domain.messages import BY_HAND, Message, Verdict
from merkato.notifications.domain.messages import message_id as identify
from merkato.notifications.providers.mail import Letterhead, Mail, compose
from merkato.notifications.providers.smtp import Away, Line, Outcome, Post
from merkato.notifications.store import messages as store
from merkato.notifications.templates import Texts

log = structlog.get_logger()

CLAIM_MAX = 200  # mails per turn
DEADLINE_S = 25.0  # a turn ends by then; well below store.LEASE


class Office(msgspec.Struct, frozen=True):
    """What is needed to write mails and hand them over."""

    texts: Texts
    head: Letterhead
    post: Post


class _Turn(msgspec.Struct):
    """A claim of mails on its way: what is left of it, and what became of the rest."""

    rest: Iterator[Message]
    until: float  # time of the loop
    asks: Asks
    tokens: Mapping[UUID, str] | None  # of guests' orders; None: orders did not give them
    verdicts: dict[UUID, Verdict]


async def send_due(office: Office, resources: Resources) -> int:
    """Send a claim of mails. Gives how many were claimed; 0 while the mail server is away."""
    post = office.post
    if not post.open():
        return 0
    async with resources.db.transaction() as tx:
        claimed = await store.claim(tx, "email", CLAIM_MAX)
    if not claimed:
        return 0
    reach("mail-claimed")
    await refreshed.refresh(office.texts, resources.db)
    until = asyncio.get_running_loop().time() + DEADLINE_S
    tokens = await _tokens(resources.asks, claimed)
    turn = _Turn(iter(claimed), until, resources.asks, tokens, {})
    async with asyncio.TaskGroup() as group:
        for line in post.lines:
            group.create_task(_carry(office, line, turn))
    reach("mail-sent")
    verdicts = turn.verdicts
    for message in claimed:
        verdicts.setdefault(message.id, Verdict(message=message, tried=False))
    async with resources.db.transaction() as tx:
        await actions.settle(tx, list(verdicts.values()))
    return len(claimed) if post.open() else 0


def _guests_order(message: Message) -> UUID | None:
    """Name the order to whose page a guest's mail leads: its link carries the order's token.

    What somebody has us send by hand never carries one.
    """
    by_hand = message.fact.startswith(BY_HAND)
    if message.customer_id is not None or by_hand or message.template not in ABOUT_ORDER:
        return None
    return UUID(message.data["order_id"])


async def _tokens(asks: Asks, claimed: Sequence[Message]) -> Mapping[UUID, str] | None:
    """Ask orders, once a turn, for the tokens of guests' orders. They are kept nowhere."""
    wanted = {order_id for one in claimed if (order_id := _guests_order(one))}
    if not wanted:
        return {}
    body = OrdersAsked(order_ids=tuple(sorted(wanted)))
    try:
        answer = await asks.ask("orders", "POST", "/api/v1/orders/tokens", OrderTokens, body)
    except (Refusal, Problem) as silent:
        log.warning("orders did not give the tokens of guests", why=type(silent).__name__)
        return None
    return answer.tokens


async def _carry(office: Office, line: Line, turn: _Turn) -> None:
    """Carry mails over one line until there are none, time is up, or the server is away."""
    loop = asyncio.get_running_loop()
    while office.post.open() and loop.time() < turn.until:
        await give_way()
        message = next(turn.rest, None)
        if message is None:
            return
        try:
            async with asyncio.timeout_at(turn.until):
                turn.verdicts[message.id] = await _send(office, line, turn, message)
        except TimeoutError:
            turn.verdicts[message.id] = _again(message, "no answer in time")
        except Away as away:
            log.warning("the mail server is away", why=str(away))
            office.post.away()


async def _send(office: Office, line: Line, turn: _Turn, message: Message) -> Verdict:
    """Render a mail and hand it over. Raises Away."""
    try:
        mail = await _write(office, turn, message)
    except (Refusal, TemplateError, BadAddress) as error:
        reason = "the link is no longer valid" if isinstance(error, Refusal) else str(error)
        log.error("mail cannot be written", id=message.id, why=type(error).__name__)
        return Verdict(message=message, failed=True, reason=reason[:200])
    except (DependencyUnavailable, UpstreamTimeout) as silent:
        return _again(message, f"no link: {silent}")
    answer = await line.hand_over(mail)
    if answer.outcome is Outcome.UNSURE:
        return _again(message, answer.why)
    office.post.found()
    if answer.outcome is Outcome.TAKEN:
        return Verdict(message=message, sent=True)
    return Verdict(
        message=message, failed=True, bounced=answer.of_address, reason=f"refused: {answer.why}"
    )


def _again(message: Message, why: str) -> Verdict:
    return Verdict(message=message, failed=message.last_try, reason=f"given up: {why}")


async def _write(office: Office, turn: _Turn, message: Message) -> Mail:
    link = token = None
    if message.template in WITH_LINK:
        path = f"/api/v1/auth/links/{message.data['token_id']}"
        link = (await turn.asks.ask("users", "POST", path, Link)).url
    if order_id := _guests_order(message):
        if turn.tokens is None:
            raise DependencyUnavailable("orders does not answer")
        token = turn.tokens.get(order_id)
    said = office.texts.render(message.template, message.locale, message.data, link, token)
    message_id = identify(message, office.head.domain)
    now = datetime.now(UTC)
    return compose(office.head, message.recipient, message_id, said, message.locale, now)
