"""The broker over HTTP: the log, its stream, topics, webhooks."""

from merkato.broker.http.deliveries import (
    list_deliveries,
    list_of_webhook,
    ping,
    redeliver,
    redeliver_all,
    show_delivery,
)
from merkato.broker.http.events import list_events, show_event
from merkato.broker.http.letters import (
    discard_letter,
    discard_letters,
    edit_letter,
    list_letters,
    open_letter,
    retry_letter,
    retry_letters,
)
from merkato.broker.http.stream import stream_events
from merkato.broker.http.topics import list_topics, publish, register_topic, show_topic
from merkato.broker.http.webhooks import (
    change_webhook,
    create_webhook,
    delete_webhook,
    list_webhooks,
    replay_webhook,
    rotate_secret,
    show_webhook,
)
from merkato.chassis.http import Routes

ROUTES: Routes = [
    list_events, show_event, stream_events, list_topics, show_topic, register_topic, publish,
    create_webhook, list_webhooks, show_webhook, change_webhook, delete_webhook, rotate_secret,
    replay_webhook, ping, list_of_webhook, list_deliveries, show_delivery, redeliver, redeliver_all,
    list_letters, open_letter, retry_letters, discard_letters, retry_letter, discard_letter,
    edit_letter,
]  # fmt: skip
