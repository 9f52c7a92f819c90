"""What the notifications service is made of."""

from collections.abc import Mapping
from functools import partial

from merkato.chassis.service import Every, Resources, Service
from merkato.config import Config
from merkato.contracts.notifications import NotificationFailed, NotificationSent
from merkato.notifications import actions, handlers, http, jobs
from merkato.notifications.domain.facts import Staff
from merkato.notifications.providers.mail import letterhead
from merkato.notifications.providers.smtp import Post
from merkato.notifications.templates import Texts

SEND_S = 2.0  # how soon mails whose pause is over are looked for


def service(config: Config) -> Service:
    """Put the service together. Raises ValueError for a sender or smtp_url that is none."""
    settings = config.notifications
    texts = Texts(settings.shop_name, config.public_url)
    head = letterhead(settings.sender)
    office = jobs.Office(texts, head, Post(settings.smtp_url, head.sender, settings.connections))

    def provides(_: Resources) -> Mapping[str, object]:
        return {"texts": texts}

    return Service(
        name="notifications",
        prefixes=("/api/v1/notifications",),
        routes=http.ROUTES,
        says=(NotificationSent, NotificationFailed),
        hears=handlers.hears(Staff(settings.staff, settings.staff_locale)),
        forgets=actions.forget,
        jobs=(Every(actions.MAIL, SEND_S, partial(jobs.send_due, office)),),
        asks=("orders", "users"),
        provides=provides,
    )
