"""The broker over HTTP: the log, its stream, topics."""

from merkato.broker.http.events import list_events, show_event
from merkato.broker.http.stream import stream_events
from merkato.broker.http.topics import list_topics, publish, register_topic, show_topic
from merkato.chassis.http import Routes

ROUTES: Routes = [
    list_events, show_event, stream_events, list_topics, show_topic, register_topic, publish,
]  # fmt: skip
