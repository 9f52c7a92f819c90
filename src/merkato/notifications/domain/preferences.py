"""What people want to hear of, by kind and channel. Pure.

What an order or an account needs is told by mail whatever somebody prefers: it is part of the
bargain, and safety. Everything else can be turned on and off; what promotes is off until asked for.
"""

from collections.abc import Iterator, Mapping

import msgspec

from merkato.notifications.domain.facts import Telling
from merkato.notifications.domain.messages import Notice

CHANNELS = ("email", "inbox", "sms", "push")
TELEPHONE = ("sms", "push")  # over a gateway, where one is configured
DEFAULTS: Mapping[str, Mapping[str, bool]] = {
    "order": {"email": True, "inbox": True, "sms": False, "push": False},
    "account": {"email": True},
    "marketing": {"email": False, "inbox": True, "sms": False, "push": False},
}
ALWAYS = frozenset({("order", "email"), ("account", "email"), ("staff", "email")})
Choices = Mapping[str, Mapping[str, bool]]  # kind -> channel -> wanted


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody is told of a kind of thing over a channel."""

    kind: str  # order | account | marketing
    channel: str  # email | inbox | sms | push
    wanted: bool
    fixed: bool = False  # cannot be turned off


def wants(choices: Choices, kind: str, channel: str) -> bool:
    """Tell whether somebody with these choices is told of this."""
    if (kind, channel) in ALWAYS:
        return True
    default = DEFAULTS.get(kind, {}).get(channel, False)
    return choices.get(kind, {}).get(channel, default)


def preferences(choices: Choices, channels: frozenset[str]) -> list[Preference]:
    """List what can be chosen over the channels there are."""
    return [
        Preference(
            kind=kind,
            channel=channel,
            wanted=wants(choices, kind, channel),
            fixed=(kind, channel) in ALWAYS,
        )
        for kind, by_channel in DEFAULTS.items()
        for channel in by_channel
        if channel in channels
    ]


def notices(telling: Telling, choices: Choices, channels: frozenset[str]) -> Iterator[Notice]:
    """Spread what is to be told over the channels by which its recipient wants to hear of it."""
    user = telling.customer_id
    recipients = {
        "email": telling.email,
        "inbox": f"user:{user}" if user and telling.brief is not None else None,
        "sms": telling.phone if user else None,
        "push": f"push:{user}" if user and telling.urgent else None,
    }
    for channel, recipient in recipients.items():
        if not recipient or channel not in channels:
            continue
        if channel in TELEPHONE and not telling.urgent:
            continue
        if wants(choices, telling.kind, channel):
            yield Notice(
                channel=channel,
                kind=telling.kind,
                fact=telling.fact,
                template=telling.template,
                locale=telling.locale,
                recipient=recipient,
                customer_id=user,
                data=telling.data if channel == "email" else telling.brief or {},
            )
