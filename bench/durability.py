"""What the servers promise of what they acknowledge; without that a number means nothing."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import nats
from shop import Shop

from merkato import config
from merkato.chassis.db import SETTINGS

WANTED = {  # docs/promises.md, durability
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "data_checksums": "on",
    "data_sync_retry": "off",
    "wal_level": "replica",
}
STRONGER = {"synchronous_commit": {"remote_apply"}, "wal_level": {"logical"}}
STREAM = {"storage": "file", "retention": "limits", "discard": "new"}
_UNLOGGED = "select count(*) from pg_class where relpersistence = 'u'"


async def read(shop: Shop) -> tuple[dict[str, str], list[str]]:
    """Give the settings as the servers tell them, and what of them is too weak.

    PostgreSQL is asked in each service's database as that service's role, so that what is set for
    a role or a database counts too.
    """
    told: dict[str, str] = {}
    weak: list[str] = []
    for service, url in shop.engines.database_urls.items():
        connection = await asyncpg.connect(url)
        try:
            for name, wanted in WANTED.items():
                value = str(await connection.fetchval(f"show {name}"))
                told[name] = value
                if value != wanted and value not in STRONGER.get(name, ()):
                    weak.append(f"{name} is {value} for {service}")
            if await connection.fetchval(_UNLOGGED):
                weak.append(f"{service} has unlogged tables")
        finally:
            await connection.close()
    weak += [f"sessions set {name}" for name in sorted(WANTED.keys() & SETTINGS.keys())]
    told["sync_interval"] = await asyncio.to_thread(_sync_interval, shop)
    if told["sync_interval"] != "always":
        weak.append(f"sync_interval of NATS is {told['sync_interval']}")
    for stream in await _streams(shop):
        settings = stream["config"]
        name = settings["name"]
        weak += [
            f"stream {name}: {key} is {settings.get(key)}"
            for key, wanted in STREAM.items()
            if settings.get(key) != wanted
        ]
        if settings.get("persist_mode", "default") not in ("", "default"):
            weak.append(f"stream {name}: persist_mode is {settings['persist_mode']}")
    return told, weak


def _sync_interval(shop: Shop) -> str:
    """Read the configuration that the running server was started with."""
    if config.external_engines()[1]:
        return "unknown"
    file = Path(shop.home.run / "nats.conf")
    return str(json.loads(file.read_text())["jetstream"].get("sync_interval", "2m"))


async def _streams(shop: Shop) -> list[dict[str, Any]]:
    client = await nats.connect(shop.engines.nats_url, connect_timeout=5, allow_reconnect=False)
    try:
        answer = await client.request("$JS.API.STREAM.LIST", b"{}", timeout=5)
        return list(json.loads(answer.data)["streams"] or [])
    finally:
        await client.close()
