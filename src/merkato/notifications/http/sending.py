"""Messages that staff, programs or other services have us send."""

import re
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, post

from merkato.chassis.db import Database, Tx
from merkato.chassis.http import IdempotencyKey, respond, staff
from merkato.chassis.idempotency import Answer, answer, once, parse_key
from merkato.chassis.ids import new_id
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Validation
from merkato.contracts.values import Line, Locale, Text
from merkato.notifications.actions import sending as actions
from merkato.notifications.domain.addresses import BadAddress, checked
from merkato.notifications.domain.facts import WITH_LINK
from merkato.notifications.domain.messages import BY_HAND, Notice
from merkato.notifications.http.messages import PATH, Record, record
from merkato.notifications.templates import TEMPLATES, UNFIT, Texts

PHONE = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164
DedupKey = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:-]{1,100}\Z")]


class Send(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /notifications``: `template` and `data`, or `subject` and `text`.

    `recipient` is a mail address, or a telephone number as E.164 for sms; `customer_id` alone is
    enough for inbox and push. `kind` marketing goes to customers only, whose preferences count.
    """

    channel: Literal["email", "inbox", "sms", "push"] = "email"
    kind: Literal["order", "account", "marketing"] = "order"
    recipient: Annotated[str, msgspec.Meta(max_length=254)] | None = None
    customer_id: UUID | None = None
    locale: Locale = "en"
    template: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    data: dict[str, Any] = {}
    subject: Line | None = None
    text: Text | None = None
    dedup_key: DedupKey | None = None  # the same key, recipient and template: one message


@post(PATH, policy=staff("notifications:send"), status_code=202, answers=Record)
async def send_message(
    data: Send,
    caller: Caller,
    db: Database,
    texts: Texts,
    channels: frozenset[str],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Queue a message; give it as it is now. `failed` with a reason: it is not wanted there.

    With the `dedup_key` of an earlier one, that one is given. 422 for data that do not fit.
    """
    key = parse_key(idempotency_key, required=False)
    if data.channel not in channels:
        raise Validation.at("/channel", "No gateway is configured for this channel.")
    template, content = _content(data)
    notice = Notice(
        channel=data.channel,
        kind=data.kind,
        fact=f"{BY_HAND}{data.dedup_key or key or new_id()}",
        template=template,
        locale=data.locale,
        recipient=_recipient(data),
        customer_id=data.customer_id,
        data=content,
    )
    try:
        texts.render(template, data.locale, content)
    except UNFIT as wrong:
        raise Validation.at("/data", f"They do not fit the template: {wrong}"[:300]) from wrong

    async def work(tx: Tx) -> Answer:
        row = await actions.send(tx, caller, notice)
        return answer(202, record(row), location=f"{PATH}/{row['id']}")

    return respond(await once(db, (caller.principal, f"POST {PATH}", key), data, work))


def _content(data: Send) -> tuple[str, dict[str, Any]]:
    if data.template is None:
        if data.subject is None or data.text is None or data.data:
            raise Validation.at("/template", "Send template and data, or subject and text.")
        return "message", {"subject": data.subject, "text": data.text}
    if data.subject is not None or data.text is not None:
        raise Validation.at("/subject", "Send template and data, or subject and text.")
    if data.template not in TEMPLATES or data.template in WITH_LINK:
        raise Validation.at("/template", "There is no such template, or only we may send it.")
    return data.template, data.data


def _recipient(data: Send) -> str:
    if data.kind == "marketing" and data.customer_id is None:
        detail = "What promotes goes to customers only: say whose preferences count."
        raise Validation.at("/customer_id", detail)
    match data.channel:
        case "inbox" | "push":
            if data.customer_id is None or data.recipient is not None:
                raise Validation.at("/customer_id", "Say for which customer, and no recipient.")
            whose = "user" if data.channel == "inbox" else "push"
            return f"{whose}:{data.customer_id}"
        case "sms":
            if not PHONE.fullmatch(data.recipient or ""):
                raise Validation.at("/recipient", "A telephone number as +49301234567.")
            return data.recipient or ""
    try:
        checked(data.recipient or "")
    except BadAddress as wrong:
        raise Validation.at("/recipient", f"This is {wrong}.") from wrong
    return data.recipient or ""


ROUTES: tuple[Any, ...] = (send_message,)
