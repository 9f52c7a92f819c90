"""Whatever the OpenAPI document allows, and much that it does not, sent to a running shop.

No answer is a failure of ours, and each is one that the document describes: its status, its media
type, its form.
"""

import asyncio
import os
import re
import sys

import pytest

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance"
)
# What lasts as long as its reader, and what would end the account that asks.
LEFT_OUT = r"/stream$|^/docs|^/api/v1/(me|me/sessions|me/totp.*|auth/.*|users/.*/erasure)$"
ONE_PROCESS = pytest.mark.parametrize("shop", [False], ids=["one-process"], indirect=True)


async def fuzz(shop, *words, seconds):
    """Run schemathesis as an administrator; give how many requests it sent."""
    command = (
        sys.executable, "-m", "schemathesis.cli", "run", f"{shop.base_url}/openapi.json",
        "-H", f"Authorization: Bearer {await shop.log_in('admin@example.org')}",
        "--exclude-path-regex", LEFT_OUT, "-c", CHECKS, "--suppress-health-check", "all",
        "--continue-on-failure", "--warnings", "off", "--generation-deterministic", "-w", "2",
        *words,
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=shop.home, env=os.environ | {"NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(seconds):
        said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said[said.find("= FAILURES =") :][:9_000] + shop.logs()
    return int(re.search(r"([\d,]+) generated", said)[1].replace(",", ""))


@ONE_PROCESS
async def test_the_documents_examples_are_answered_as_it_says(shop):
    assert await fuzz(shop, "--phases", "examples", seconds=110) > 60


@ONE_PROCESS
async def test_what_the_document_allows_is_answered_as_it_says(shop):
    some = r"^/api/v1/(carts|orders|products|stock|payments)$"
    words = ("--phases", "fuzzing", "-n", "5", "--include-path-regex", some)
    assert await fuzz(shop, *words, seconds=110) > 20


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@ONE_PROCESS
async def test_twenty_thousand_requests_are_answered_as_the_document_says(shop):
    words = ("--phases", "examples,fuzzing", "-n", "220")
    assert await fuzz(shop, *words, seconds=3_500) >= 20_000
