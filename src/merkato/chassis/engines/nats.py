"""NATS JetStream for those who brought none: its configuration and the process to run."""

import asyncio
import json
from contextlib import suppress

from merkato.chassis.bus import STREAM
from merkato.chassis.engines import binaries, ports
from merkato.chassis.engines.home import Home, Secrets, write_private
from merkato.chassis.supervisor import Child

_FILE_STORE_BYTES_MAX = 8 * 1024**3
_MEMORY_STORE_BYTES_MAX = 64 * 1024**2
_MESSAGE_BYTES_MAX = 1024**2


def child(home: Home, kept: Secrets, services: tuple[str, ...]) -> Child:
    """Write the configuration and give the process to run."""
    program = binaries.nats()
    port = ports.pick(home.ports().get("nats"))
    home.remember_port("nats", port)
    home.nats.mkdir(exist_ok=True, mode=0o700)
    file = home.run / "nats.conf"
    made = configuration(kept, services, f"127.0.0.1:{port}", str(home.nats))
    write_private(file, made.encode())

    async def ready() -> bool:
        return await answers("127.0.0.1", port)

    return Child(
        name="nats",
        command=(str(program), "--config", str(file)),
        log=home.logs / "nats.log",
        address=f"127.0.0.1:{port}",
        environment={"PATH": "/usr/bin:/bin", "GOMEMLIMIT": "256MiB"},
        stop_within_s=30,
        ready=ready,
        ready_within_s=300,  # a long log is read again after a crash
        reason=_reason,
        yields=True,
    )


def url(home: Home, kept: Secrets, user: str) -> str:
    """Give the URL of the embedded server for one user: a service, or 'admin'."""
    return f"nats://{user}:{kept.nats[user]}@127.0.0.1:{home.ports()['nats']}"


async def answers(host: str, port: int) -> bool:
    """Tell whether a NATS server with JetStream greets at this address."""
    with suppress(OSError, ValueError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            greeting = await reader.readline()
            writer.close()
        return bool(json.loads(greeting.removeprefix(b"INFO "))["jetstream"])
    return False


def configuration(
    kept: Secrets, services: tuple[str, ...], listen: str, folder: str, monitor: str | None = None
) -> str:
    """Write the server's configuration. `listen`, `monitor`: HOST:PORT; `folder`: its streams."""
    wake = {"allow": ["_WAKE.gateway.>"]}  # counts that its replicas tell each other
    users: list[dict[str, object]] = [
        {"user": "admin", "password": kept.nats["admin"]},
        {
            "user": "gateway",
            "password": kept.nats["gateway"],
            "permissions": {"publish": wake, "subscribe": wake},
        },
    ]
    return json.dumps(
        {
            "listen": listen,
            **({"http": monitor} if monitor else {}),
            "server_name": "merkato",
            "max_payload": _MESSAGE_BYTES_MAX,
            "jetstream": {
                "store_dir": folder,
                "sync_interval": "always",  # an acknowledged message is on disk
                "max_file_store": _FILE_STORE_BYTES_MAX,
                "max_memory_store": _MEMORY_STORE_BYTES_MAX,
            },
            "authorization": {"users": users + [_user(name, kept) for name in services]},
        },
        indent=1,
    )


def _user(service: str, kept: Secrets) -> dict[str, object]:
    """A service says its own events, hears by its own consumer, and deletes nothing.

    Which subjects a consumer with several of them reads, its maker says: NATS cannot forbid it.
    """
    wake = f"_WAKE.{service}.>"  # bells between its own processes
    stream = [f"STREAM.{call}.{STREAM}" for call in ("INFO", "CREATE", "UPDATE", "MSG.GET")]
    consumer = [
        f"CONSUMER.{call}.{STREAM}.{service}"
        for call in ("INFO", "DURABLE.CREATE", "DELETE", "MSG.NEXT")
    ]
    ack = [f"$JS.ACK.{STREAM}.{service}.>", f"$JS.ACK.*.*.{STREAM}.{service}.>"]
    api = [f"$JS.API.{call}" for call in stream + consumer]
    return {
        "user": service,
        "password": kept.nats[service],
        "permissions": {
            "publish": {"allow": [f"{service}.>", *api, *ack, wake]},
            "subscribe": {"allow": [f"_INBOX_{service}.>", wake]},
        },
    }


def _reason(tail: str) -> str:
    lines = [line for line in tail.splitlines() if "[FTL]" in line or "[ERR]" in line]
    if "no space left on device" in tail:
        return "the disk is full; make room and start again."
    return (lines or [tail.rstrip().rpartition("\n")[2] or "it said nothing"])[-1]
