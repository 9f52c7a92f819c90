"""Whatever the OpenAPI document allows, and much that it does not, sent to a running shop.

No answer is a failure of ours, and each is one that the document describes: its status, its media
type, its form.
Every check of schemathesis is on; schemathesis.toml says which refusals are expected.
"""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from shopping import PASSWORD

from merkato.config import SERVICES

HOW = Path(__file__).with_name("schemathesis.toml")
STREAMS = r"/stream$"  # last as long as their readers; see test_events.py and test_broker_stream.py
# Logs out or ends whoever asks, or has them wait after passwords that were wrong: fuzzed last, by
# an administrator who may go.
ENDS = (
    r"^/api/v1/(me|me/(sessions.*|totp.*|password|email)|auth/.*|users/[^/]*|users/[^/]*/erasure)$"
)
ONE_PROCESS = pytest.mark.parametrize("shop", [False], ids=["one-process"], indirect=True)


async def fuzz(shop, token, *words, seconds):
    """Run schemathesis with a token; give how many requests it sent, and what was wrong."""
    # One worker: ast.parse of Python 3.11 fails where two threads are in it (CPython gh-106905).
    command = (
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(HOW),
        "run", f"{shop.base_url}/openapi.json", "-H", f"Authorization: Bearer {token}",
        "-c", "all", "--suppress-health-check", "all",
        "--continue-on-failure", "--warnings", "off", "--generation-deterministic", "-w", "1",
        *words,
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=shop.home, env=os.environ | {"NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(seconds):
        said = (await process.communicate())[0].decode()
    sent = re.search(r"([\d,]+) generated", said)
    assert sent, said[-3_000:]
    wrong = re.search(r"= (ERRORS|FAILURES) =.{,9_000}", said, re.DOTALL)
    told = wrong[0] if wrong else said[-3_000:]
    return int(sent[1].replace(",", "")), told if process.returncode else ""


async def admin(shop):
    """Log in afresh: an access token lives 15 minutes."""
    return await shop.log_in("admin@example.org")


@ONE_PROCESS
async def test_the_documents_examples_are_answered_as_it_says(shop):
    words = ("--phases", "examples", "--exclude-path-regex", f"{STREAMS}|{ENDS}")
    sent, wrong = await fuzz(shop, await admin(shop), *words, seconds=110)
    assert not wrong, wrong
    assert sent > 60


@ONE_PROCESS
async def test_what_the_document_allows_is_answered_as_it_says(shop):
    some = r"^/api/v1/(carts|orders|products|stock|payments)$"
    words = ("--phases", "fuzzing", "-n", "5", "--include-path-regex", some)
    sent, wrong = await fuzz(shop, await admin(shop), *words, seconds=110)
    assert not wrong, wrong
    assert sent > 20


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@ONE_PROCESS
async def test_twenty_thousand_requests_are_answered_as_the_document_says(shop):
    shop.command("seed")  # so that there is something to find
    shop.command("create-admin", "leaving@example.org", text=PASSWORD + "\n")
    passes = [
        ("admin", "--include-tag", service, "--exclude-path-regex", f"{STREAMS}|{ENDS}")
        for service in (*SERVICES, "gateway")
    ]
    found = {}
    for who, *words in (*passes, ("leaving", "--include-path-regex", ENDS)):
        token = await shop.log_in(f"{who}@example.org")  # lives 15 minutes
        more = ("--phases", "examples,coverage,fuzzing", "-n", "75", *words)
        found[words[1]] = await fuzz(shop, token, *more, seconds=840)
    sys.stdout.write(f"{ {name: sent for name, (sent, _) in found.items()} }\n")
    wrong = [text for _, text in found.values() if text]
    assert not wrong, "\n".join(wrong) + shop.logs()
    assert sum(sent for sent, _ in found.values()) >= 20_000
    assert (await shop("GET", "/readyz")).status == 200
