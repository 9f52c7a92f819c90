"""Hand messages that are due to the gateways for telephones, a few at a time.

Claimed under a lease, handed over, written down, as mails are. Whoever turned a kind of message off
while it waited does not get it any more.
"""

import asyncio
from collections.abc import Mapping

import structlog
from jinja2 import TemplateError

from merkato.chassis.load import give_way
from merkato.chassis.service import Resources
from merkato.notifications.actions import messages as actions
from merkato.notifications.actions import texts as refreshed
from merkato.notifications.domain.messages import Message, Verdict
from merkato.notifications.providers.gateway import Gateway, HandOver, Outcome, Text
from merkato.notifications.store import messages as store
from merkato.notifications.templates import Texts

log = structlog.get_logger()

CLAIM_MAX = 50  # messages per turn and gateway; handed over within the lease
AT_ONCE = 8  # messages under way at a gateway


async def send_due(texts: Texts, gateways: Mapping[str, Gateway], resources: Resources) -> int:
    """Send a claim of messages over each gateway. Gives how many were claimed."""
    claimed = await asyncio.gather(
        *(_turn(texts, gateway, resources) for gateway in gateways.values() if gateway.open())
    )
    return sum(claimed)


async def _turn(texts: Texts, gateway: Gateway, resources: Resources) -> int:
    async with resources.db.transaction() as tx:
        claimed = await store.claim(tx, gateway.channel, CLAIM_MAX)
    if not claimed:
        return 0
    await refreshed.refresh(texts, resources.db)
    room = asyncio.Semaphore(AT_ONCE)
    async with gateway.connected() as hand_over:

        async def carry(message: Message) -> Verdict:
            async with room:
                await give_way()
                if not gateway.open():
                    return Verdict(message=message, tried=False)
                return await _send(texts, hand_over, message)

        verdicts = await asyncio.gather(*(carry(message) for message in claimed))
    async with resources.db.transaction() as tx:
        await actions.settle(tx, verdicts)
    return len(claimed) if gateway.open() else 0


async def _send(texts: Texts, hand_over: HandOver, message: Message) -> Verdict:
    try:
        said = texts.headline(message.template, message.locale, message.data)
    except TemplateError as error:
        log.error("message cannot be written", id=message.id, why=type(error).__name__)
        return Verdict(message=message, failed=True, reason=str(error)[:200])
    again = f"-{message.edition}" if message.edition > 1 else ""
    recipient = message.recipient.removeprefix("push:")
    answer = await hand_over(
        Text(
            id=f"{message.id}{again}",
            channel=message.channel,
            to=recipient,
            title=said.subject,
            text=said.summary,
            locale=message.locale,
            kind=message.kind,
            url=texts.order_url(message.data),
        ),
    )
    if answer.outcome is Outcome.TAKEN:
        return Verdict(message=message, sent=True)
    if answer.outcome is Outcome.REFUSED:
        return Verdict(message=message, failed=True, reason=f"refused: {answer.why}")
    reason = f"given up: {answer.why}"
    return Verdict(
        message=message, failed=message.last_try, wait_s=answer.wait_s, reason=reason,
        tried=not answer.away or message.last_try,
    )  # fmt: skip
