"""deploy/compose.yaml, executed as processes in its own order behind real nginx, and bought in."""

import asyncio
import contextlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import shopping
from breaking import lawful
from composing import FILE, ROOT, Composition, image_says, mounts_of, parsed
from e2e.test_buying import test_a_guest_buys_a_cart_and_is_told_by_mail  # noqa: F401
from e2e.test_cards import test_an_approved_card_is_charged_once  # noqa: F401

from merkato import config
from merkato.chassis.engines import postgres
from merkato.chassis.engines.home import Home
from merkato.chassis.engines.start import addresses
from merkato.cli import prepare

pytestmark = pytest.mark.timeout(300)  # ten processes start on whatever cores there are
needs_nginx = pytest.mark.skipif(
    not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="no nginx here"
)
needs_wget = pytest.mark.skipif(not shutil.which("wget"), reason="no wget here")


def example():
    """The variables of .env.example, with the password that `make up_build` makes up."""
    lines = (FILE.parent / ".env.example").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return found | {"POSTGRES_PASSWORD": secrets.token_hex(16)}


class Composed(shopping.Shop):
    """The shop of the compose file."""

    def __init__(self, composition):
        self.composition, self.home = composition, composition.folder / "volumes/home"
        self.tools = composition.command("tools")
        self.base_url = f"http://{composition.addresses['nginx']}:8080"
        self.unanswered, self.admin = [], ""

    def command(self, *words, text=""):
        """Run a command in the container of commands."""
        done = subprocess.run(
            [*self.tools.words()[:1], *words], env=self.tools.environment(), cwd=self.home,
            input=text, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def engines(self):
        said = self.tools.environment()
        return addresses(Home(self.home), config.SERVICES, said["DATABASE_URL"], said["NATS_URL"])

    @property
    def outside(self):
        address = self.composition.addresses["outside"]
        return tuple(f"http://{address}:{port}" for port in (8025, 8027, 8026))


@pytest_asyncio.fixture(scope="module")
async def shop():
    folder = Path(tempfile.mkdtemp(prefix="merkato-compose-"))
    await asyncio.to_thread(folder.chmod, 0o711)  # PostgreSQL's and nginx's accounts pass through
    composition = Composition(folder, example())
    try:
        await composition.up()
        shop = Composed(composition)
        cookies = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=cookies) as shop.session:
            await shop.make_admin()
            yield shop
            await lawful(shop)
    finally:
        with contextlib.suppress(TimeoutError):
            await composition.down()
        shutil.rmtree(folder)


@needs_nginx
@needs_wget
async def test_every_container_became_well_and_the_goods_are_there(shop):
    ran = set(shop.composition.containers)
    assert ran == set(parsed(example())["services"]) - {"tools"}
    found = await shop.ok("GET", "/api/v1/products?limit=100&currency=EUR")
    assert len(found["items"]) > 50
    page = await shop("GET", "/")
    assert page.status == 200
    assert (await shop("GET", "/admin")).status in (200, 303)


@needs_nginx
@needs_wget
async def test_a_container_sees_its_own_secrets_only(shop):
    kept = shop.engines.secrets
    words = {
        name: {kept.postgres[name], kept.nats[name], kept.signing[name]["d"]}
        for name in config.SERVICES
    }
    for name in (*config.ALL, "nginx"):
        folders = [place for place in shop.composition.containers[name].places.values()]
        seen = "".join(file.read_text() for folder in folders for file in folder.glob("*.*"))
        others = {word for other in words if other != name for word in words[other]}
        assert seen
        assert not [word for word in others if word in seen], name
        assert name not in words or all(word in seen for word in words[name])


def test_the_file_is_what_compose_reads():
    check = Path(sys.executable).with_name("check-jsonschema")
    words = [check, "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_is_built_as_hadolint_likes():
    lint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([lint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_runs_as_nobody_and_copies_what_is_there():
    text = (ROOT / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.M)
    assert "HEALTHCHECK" in last
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        for name in line.split():
            assert (ROOT / name).exists()
            assert f"!{name}" in ignored


def test_images_have_versions_and_ours_is_this_one():
    services = parsed(example())["services"]
    images = {said["image"] for said in services.values()}
    bases = set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.M))
    for image in images | bases:
        assert re.fullmatch(r"[a-z]+:\d+[.\d]*(-\w+)*", image), image
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert f"merkato:{version}" in images


def test_the_database_keeps_promises_as_the_embedded_one_does():
    words = parsed(example())["services"]["postgres"]["command"]
    said = dict(word.removeprefix("--").split("=", 1) for word in words[1:])
    only_here = {"listen_addresses", "unix_socket_directories"}  # of this machine
    assert said == {k: v for k, v in postgres._SETTINGS.items() if k not in only_here}


def test_each_container_has_its_folder_and_the_strictest_rights():
    services = parsed(example())["services"]
    for name in (*config.ALL, "nats", "nginx", "outside"):
        said = services[name]
        subpaths = {one["subpath"] for one in mounts_of(said) if one["source"] == "home"}
        assert subpaths - {"nats"} == {f"containers/{name}"}, name
        assert said["user"] == "10001:10001"
    for name in config.ALL:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["healthcheck"]["test"][1] == "python"
    assert image_says()["ENV"]["MERKATO_HOME"] == "/var/lib/merkato"
    assert {name for name, said in services.items() if said.get("ports")} == {"nginx", "outside"}


def test_production_asks_for_a_mail_server(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql://merkato:x@127.0.0.1:1/postgres")
    monkeypatch.setenv("MERKATO_HOME", str(tmp_path))
    monkeypatch.setenv("MERKATO_ENVIRONMENT", "production")
    monkeypatch.delenv("MERKATO_CONFIG", raising=False)
    with pytest.raises(prepare.CannotStart, match="SMTP_URL"):
        prepare.prepare()
    monkeypatch.setenv("MERKATO_ENVIRONMENT", "staging")
    with pytest.raises(ValueError, match="staging"):
        prepare.prepare()
