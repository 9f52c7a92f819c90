"""The AsyncAPI document shows what is public of every event, and nothing else."""

import re

import msgspec
from contract.test_events import EVENTS

from merkato import config, topology
from merkato.gateway.documents import asyncapi

DOCUMENT = asyncapi.document(topology.services(config.Config(here=("gateway",))))
MESSAGES = DOCUMENT["components"]["messages"]


def data_of(name):
    return MESSAGES[name]["payload"]["allOf"][1]["properties"]["data"]


def test_every_public_event_is_there():
    public = {name for name, kind in EVENTS.items() if kind.public}
    assert DOCUMENT["channels"].keys() == MESSAGES.keys() == public
    assert len(public) > 15


def test_only_public_fields_are_shown():
    for name, kind in EVENTS.items():
        if kind.public:
            assert data_of(name)["properties"].keys() == set(kind.public)
            assert not set(data_of(name)["properties"]) & kind.hidden_fields(), name
    text = msgspec.json.encode(DOCUMENT).decode()
    assert not re.search(r'"(payment_token|token_id|contact)"', text)


def test_references_lead_somewhere_and_nothing_is_left_over():
    text = msgspec.json.encode(DOCUMENT).decode()
    targets = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert targets == DOCUMENT["components"]["schemas"].keys()
    for operation in DOCUMENT["operations"].values():
        channel = operation["channel"]["$ref"].removeprefix("#/channels/")
        assert channel in DOCUMENT["channels"]


def test_the_page_shows_them_all_and_needs_nothing_from_elsewhere():
    page = asyncapi.page(DOCUMENT)
    assert all(f'id="{name}"' in page for name in MESSAGES)
    assert not re.search(r'(src|href)="(https?:)?//', page)
