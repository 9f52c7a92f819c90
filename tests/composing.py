"""Runs what a compose file says as processes, for machines without a container engine.

What an engine gives, this gives in its way: each container an address of its own (one of 127/8, so
its ports stay as they are); names, by writing addresses into commands, environment, health checks
and the files that one container makes for another; volumes, as folders. Images are stood for: ours
by this installation, PostgreSQL and NATS by their packages, nginx by the machine's. Nothing stands
for users, read-only file systems, capabilities, limits and restarts.
"""

import asyncio
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from merkato.chassis.engines import binaries, postgres

ROOT = Path(__file__).parents[1]
FILE = ROOT / "deploy/compose.yaml"
PROGRAMS = (Path(sys.executable).parent, binaries.postgres() / "bin", Path("/usr/sbin"))
PATIENCE_S = 200
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def interpolated(text, variables):
    """Put variables in as compose does: ${NAME}, ${NAME:-default}, ${NAME:?what is wrong}."""

    def value(match):
        name, how, rest = match.groups()
        if found := variables.get(name):
            return found
        if how == "?":
            raise ValueError(f"{name}: {rest}")
        return rest if how == "-" else ""

    return VARIABLE.sub(value, text)


def parsed(variables):
    """Give the compose file as data, with anchors and variables resolved."""
    return yaml.safe_load(interpolated(FILE.read_text(), variables))


def image_says():
    """Give what the last stage of our Dockerfile sets: ENTRYPOINT and CMD (lists), ENV (a dict)."""
    said = {}
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        if word in ("ENTRYPOINT", "CMD"):
            said[word] = json.loads(rest)
        if word == "ENV":
            said["ENV"] = dict(pair.split("=", 1) for pair in rest.split())
    return said


def mounts_of(said):
    """Give a container's volumes in one form: {source, target, subpath, read_only}."""
    found = []
    for one in said.get("volumes", ()):
        said = one
        if isinstance(one, str):
            source, target, *mode = one.split(":")
            said = {"source": source, "target": target, "read_only": mode == ["ro"]}
        subpath = said.get("volume", {}).get("subpath", "")
        found.append({"read_only": False, **said, "subpath": subpath})
    return found


class Container:
    """One service of the file, as a process."""

    def __init__(self, composition, name, said):
        self.composition, self.name, self.said = composition, name, said
        self.address = composition.addresses[name]
        self.log = composition.folder / f"logs/{name}.log"
        self.process, self.places = None, {}
        self.came = {  # the conditions others may wait for
            word: asyncio.Event()
            for word in ("service_started", "service_healthy", "service_completed_successfully")
        }

    def place(self):
        """Find the folder behind each mount. A subpath that is not there is an engine's error."""
        made_for_us = []
        for one in mounts_of(self.said):
            source = FILE.parent / one["source"]
            if not one["source"].startswith("."):
                assert one["source"] in self.composition.file["volumes"], one
                source = self.composition.folder / "volumes" / one["source"]
                source.mkdir(exist_ok=True, mode=0o711)
                source /= one["subpath"]
            assert source.exists(), f"{self.name}: there is no {source}"
            if one["read_only"] and source.is_dir():
                made_for_us.append((one["target"], source))
            self.places[one["target"]] = source
        for one in self.said.get("tmpfs", ()):
            if (target := one.partition(":")[0]) != "/tmp":
                self.places[target] = self.folder("tmp", target)
        for target, source in made_for_us:
            self.places[target] = self.folder("seen", target)
            for file in source.iterdir():
                (self.places[target] / file.name).write_text(self.translated(file.read_text()))

    def folder(self, kind, target):
        """Make a folder of its own."""
        made = self.composition.folder / kind / self.name / target.strip("/").replace("/", "-")
        made.mkdir(parents=True)
        return made

    def translated(self, text):
        """Write folders for mounts and addresses for names."""
        for target in sorted(self.places, key=len, reverse=True):
            text = re.sub(rf"(?<![\w/.]){target}(?![\w.-])", str(self.places[target]), text)
        text = self.composition.addressed(text).replace("0.0.0.0", self.address)
        return re.sub(r"127\.0\.0\.1(?=:\d)", self.address, text)

    def environment(self):
        """Give what the image and the file set, and where programs are."""
        set_here = {
            **(image_says()["ENV"] if self.is_ours() else {}),
            **self.said.get("environment", {}),
        }
        set_here["PATH"] = ":".join([*map(str, PROGRAMS), "/usr/bin", "/bin"])
        return {name: self.translated(str(value)) for name, value in set_here.items()}

    def is_ours(self):
        return self.said["image"].startswith("merkato:")

    def words(self):
        """Give the command line: the image's where the file says nothing."""
        image = image_says() if self.is_ours() else {}
        start = self.said.get("entrypoint", image.get("ENTRYPOINT", []))
        return [
            self.translated(word)
            for word in (*start, *self.said.get("command", image.get("CMD", [])))
        ]

    async def start(self):
        """Wait for what it depends on, start it, and wait until it is well or has done its work."""
        for name, what in self.said.get("depends_on", {}).items():
            if name in self.composition.containers:
                await self.composition.containers[name].came[what["condition"]].wait()
            else:
                assert what.get("required") is False, f"{self.name} needs {name}"
        self.place()
        words, account = self.words(), {}
        if self.said["image"].startswith("postgres:"):
            words, account = self.clustered(words)
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *words, env=self.environment(), cwd="/", stdout=log, stderr=log, **account
            )
        self.came["service_started"].set()
        if test := self.said.get("healthcheck", {}).get("test"):
            await self.become_well(test)
        else:
            assert await self.process.wait() == 0, self.tail()
            self.composition.readdress()
            self.came["service_completed_successfully"].set()

    async def become_well(self, test):
        """Run the health check's own command until it succeeds."""
        assert test[0] == "CMD"
        words = [self.translated(word.replace("127.0.0.1", self.address)) for word in test[1:]]
        async with asyncio.timeout(PATIENCE_S):
            while True:
                check = await asyncio.create_subprocess_exec(
                    *words, env=self.environment(), stdout=-3, stderr=-3
                )
                if await check.wait() == 0:
                    break
                assert self.process.returncode is None, self.tail()
                await asyncio.sleep(0.5)
        self.came["service_healthy"].set()

    def clustered(self, words):
        """Do what PostgreSQL's image does before its command: make a cluster, open it."""
        said, account = self.environment(), postgres._account()
        programs = postgres._reachable_programs(binaries.postgres(), account) / "bin"
        [volume] = self.places.values()
        data, word = volume / "18/docker", volume / "password"
        data.mkdir(parents=True, mode=0o700)
        word.write_text(said["POSTGRES_PASSWORD"])
        as_whom = {"user": account.uid, "group": account.gid} if account else {}
        for path in (volume, data.parent, data, word) if account else ():
            os.chown(path, account.uid, account.gid)
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", said["POSTGRES_USER"], f"--pwfile={word}",
             *shlex.split(said["POSTGRES_INITDB_ARGS"])],
            check=True, capture_output=True, cwd="/", **as_whom,
        )  # fmt: skip
        word.unlink()
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        here = (f"--listen_addresses={self.address}", "--unix_socket_directories=")
        return [programs / words[0], *words[1:], "-D", data, *here], as_whom

    def tail(self):
        return f"{self.name}: {self.log.read_text(errors='replace')[-2_000:]}"

    async def stop(self):
        if self.process and self.process.returncode is None:
            self.process.send_signal(signal.Signals[self.said.get("stop_signal", "SIGTERM")])
            grace = self.said.get("stop_grace_period", "10s")
            async with asyncio.timeout(float(grace.removesuffix("s"))):
                await self.process.wait()


class Composition:
    """The whole file, in a folder."""

    def __init__(self, folder, variables):
        self.folder, self.variables = folder, variables
        self.file = parsed(variables)
        for name in ("logs", "volumes"):
            (folder / name).mkdir()
        network = f"127.{random.randrange(16, 250)}.{random.randrange(1, 250)}"
        services = self.file["services"]
        self.addresses = {name: f"{network}.{n}" for n, name in enumerate(services, 2)}
        self.published = {}  # a port of the machine -> address and port of the container
        for name, said in services.items():
            for one in said.get("ports", ()):
                *_, ours, theirs = one.split(":")
                self.published[ours] = f"{self.addresses[name]}:{theirs}"
        profiles = set(variables.get("COMPOSE_PROFILES", "").split(","))
        self.containers = {
            name: Container(self, name, said)
            for name, said in services.items()
            if not said.get("profiles") or profiles & set(said["profiles"])
        }
        names = "|".join(map(re.escape, sorted(services, key=len, reverse=True)))
        self._named = re.compile(rf"(?<![\w.-])({names}):(?=\d{{2,5}}(?![\w@-]))")

    def addressed(self, text):
        """Write addresses for names and for published ports."""
        text = self._named.sub(lambda match: self.addresses[match[1]] + ":", text)
        return re.sub(
            r"127\.0\.0\.1:(\d+)", lambda match: self.published.get(match[1], match[0]), text
        )

    def readdress(self):
        """Write addresses into what commands will read of the volume that they share."""
        file = self.folder / "volumes/home/config.json"
        if file.exists():
            file.write_text(self.addressed(file.read_text()))

    async def up(self):
        """Start every container; raises with the log's end when one does not become well."""
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for one in self.containers.values():
                group.create_task(one.start())

    def command(self, name):
        """Give a container that only runs commands, of whatever profile."""
        made = Container(self, name, self.file["services"][name])
        made.place()
        return made

    async def down(self):
        """Stop them, the last first."""
        for one in reversed(self.containers.values()):
            await one.stop()

    def logs(self):
        return "\n".join(one.tail() for one in self.containers.values() if one.log.exists())
