"""What the notifications service is made of."""

from collections.abc import Mapping
from functools import partial

from merkato.chassis.service import Every, Resources, Service
from merkato.chassis.signatures import SECRET_CHARS_MIN
from merkato.config import Config
from merkato.contracts.notifications import NotificationFailed, NotificationSent
from merkato.notifications import handlers, http
from merkato.notifications.actions.messages import GATEWAYS, MAIL, forget
from merkato.notifications.domain.facts import Staff
from merkato.notifications.handlers import House
from merkato.notifications.jobs import gateways, mail
from merkato.notifications.providers.gateway import Gateway
from merkato.notifications.providers.mail import letterhead
from merkato.notifications.providers.smtp import Post
from merkato.notifications.templates import Texts

SEND_S = 2.0  # how soon messages whose pause is over are looked for


def service(config: Config) -> Service:
    """Put the service together. Raises ValueError for an address, URL or secret that is none."""
    settings = config.notifications
    if settings.bounce_secret and len(settings.bounce_secret) < SECRET_CHARS_MIN:
        raise ValueError(f"notifications.bounce_secret: {SECRET_CHARS_MIN} characters or more")
    texts = Texts(config.shop_name, config.public_url)
    head = letterhead(settings.sender, config.shop_name)
    office = mail.Office(texts, head, Post(settings.smtp_url, head.sender, settings.connections))
    telephones: dict[str, Gateway] = {
        channel: Gateway(channel, one.url, one.secret) for channel, one in settings.gateways.items()
    }
    channels = frozenset({"email", "inbox", *telephones})
    house = House(Staff(settings.staff, settings.staff_locale), channels)

    def provides(_: Resources) -> Mapping[str, object]:
        return {
            "texts": texts,
            "mail_domain": head.domain,
            "channels": channels,
            "bounce_secret": settings.bounce_secret,
        }

    return Service(
        name="notifications",
        prefixes=(
            "/api/v1/notifications",
            "/api/v1/notification-templates",
            "/api/v1/me/notification-preferences",
            "/api/v1/notification-preferences",
        ),
        routes=http.ROUTES,
        says=(NotificationSent, NotificationFailed),
        hears=handlers.hears(house),
        forgets=forget,
        jobs=(
            Every(MAIL, SEND_S, partial(mail.send_due, office)),
            Every(GATEWAYS, SEND_S, partial(gateways.send_due, texts, telephones)),
        ),
        asks=("orders", "users"),
        provides=provides,
    )
