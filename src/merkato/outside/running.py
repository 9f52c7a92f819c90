"""Runs the stand-ins: four listeners, on 127.0.0.1 unless told otherwise, in one process."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from merkato.outside.asgi import App
from merkato.outside.database import Database
from merkato.outside.gateway.http import Gateway
from merkato.outside.mailbox import smtp
from merkato.outside.mailbox.faults import Faults
from merkato.outside.mailbox.http import Mailbox
from merkato.outside.processor import jobs
from merkato.outside.processor.actions import Desk
from merkato.outside.processor.control import Control
from merkato.outside.processor.http import Api, refused
from merkato.outside.processor.pages import Pages
from merkato.outside.processor.switch import Switch
from merkato.outside.processor.webhooks import Webhooks

HOST = "127.0.0.1"
PATIENCE_S = 1  # for requests under way when a listener closes


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the stand-ins."""

    folder: str  # of processor.sqlite and mailbox.sqlite; made if missing
    processor_port: int
    mailbox_smtp_port: int
    mailbox_port: int  # of the mailbox's pages and JSON
    gateway_port: int  # takes messages for telephones, and shows them
    gateway_secret: str  # signs those
    api_key: str  # what the shop shows to the processor
    webhook_secret: str  # signs webhooks
    webhook_url: str  # where the shop takes them; empty: none are sent
    environment: str  # anything but `development` is refused
    host: str = HOST  # address all four listen on
    processor_url: str = ""  # the processor's for browsers; empty: on this machine

    def __repr__(self) -> str:
        """Say where, and no secret."""
        return (
            f"Outside(folder={self.folder!r}, processor_port={self.processor_port}, "
            f"mailbox_smtp_port={self.mailbox_smtp_port}, mailbox_port={self.mailbox_port}, "
            f"gateway_port={self.gateway_port})"
        )


class Server(uvicorn.Server):
    """A server that leaves signals to `serve`: there are two of it in one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


async def serve(settings: Outside) -> None:
    """Run processor, mailbox and gateway until cancelled or told to stop by SIGTERM or SIGINT.

    A signal that somebody else in this process handles already is left to them. Raises ValueError
    outside development or without secrets, OSError when a port is taken.
    """
    _check(settings)
    folder = Path(settings.folder)
    with (
        contextlib.closing(Database(folder / "processor.sqlite", "processor.sql")) as ledger,
        contextlib.closing(Database(folder / "mailbox.sqlite", "mailbox.sql")) as mails,
    ):
        faults, switch = Faults(), Switch()
        webhooks = Webhooks(ledger, settings.webhook_url, settings.webhook_secret)
        url = settings.processor_url or f"http://{HOST}:{settings.processor_port}"
        desk = Desk(ledger, webhooks, url)
        api = Api(desk, switch, settings.api_key)
        processor = App(
            [*api.routes(), *Control(desk, switch).routes(), *Pages(desk).routes()],
            settled=ledger.committed,
            before=api.admit,
            refuse=refused,
        )
        telephones = Gateway(settings.gateway_secret)
        gateway = App(telephones.routes(), settled=telephones.settled)
        mailbox = App(Mailbox(mails, faults).routes(), settled=mails.committed)
        async with smtp.listening(mails, faults, _bound(settings.host, settings.mailbox_smtp_port)):
            await _until_stopped(
                _web(processor, settings.host, settings.processor_port, switch),
                _web(mailbox, settings.host, settings.mailbox_port),
                _web(gateway, settings.host, settings.gateway_port),
                webhooks.run(),
                jobs.run(desk),
            )


def _check(settings: Outside) -> None:
    if settings.environment != "development":
        raise ValueError(
            f"The stand-ins run in development only, and this is {settings.environment!r}: "
            "they approve payments without money and swallow mail."
        )
    if not settings.api_key or not settings.webhook_secret:
        raise ValueError("The stand-in processor needs an api_key and a webhook_secret.")
    if not settings.gateway_secret:
        raise ValueError("The stand-in gateway needs a gateway_secret.")


async def _until_stopped(*runs: Coroutine[Any, Any, None]) -> None:
    """Run all until one fails, a signal comes or we are cancelled; then end all."""
    told = asyncio.Event()
    with _signals(told):
        tasks = [asyncio.create_task(run) for run in (*runs, _wait(told))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _wait(told: asyncio.Event) -> None:
    await told.wait()


@contextlib.contextmanager
def _signals(told: asyncio.Event) -> Iterator[None]:
    """Set `told` on SIGTERM and SIGINT, as far as nobody handles them yet."""
    loop = asyncio.get_running_loop()
    ours = []
    if threading.current_thread() is threading.main_thread():
        unhandled = (signal.SIG_DFL, signal.default_int_handler)
        ours = [s for s in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(s) in unhandled]
    for number in ours:
        loop.add_signal_handler(number, told.set)
    try:
        yield
    finally:
        for number in ours:
            loop.remove_signal_handler(number)


async def _web(app: App, host: str, port: int, switch: Switch | None = None) -> None:
    """Serve HTTP; closed for a while, connections refused, when the switch demands it."""
    while True:
        listener = _bound(host, port)
        server = Server(
            uvicorn.Config(
                app,
                lifespan="off",
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=PATIENCE_S,
                timeout_keep_alive=75,
                backlog=1_024,
            )
        )
        closed_s = 0.0

        def close(seconds: float, server: Server = server) -> None:
            nonlocal closed_s
            closed_s = seconds
            server.should_exit = True

        if switch:
            switch.refuse = close
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise
        await asyncio.sleep(closed_s)


def _bound(host: str, port: int) -> socket.socket:
    """Take the port. Raises OSError that names it."""
    # asyncio turns Nagle's algorithm off only where the protocol is named: else 40 ms an answer
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"The stand-ins cannot have port {port}: {error}") from error
    return listener
