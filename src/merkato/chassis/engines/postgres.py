"""PostgreSQL for those who brought none: a data folder, its settings, and the process to run.

When we are root it runs as an unprivileged account that exists already; where that account cannot
reach our folders, data and programs are placed under /var/lib/merkato, and a link stays behind.
"""

import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from merkato.chassis.engines import binaries, ports, provision
from merkato.chassis.engines.home import Home, Secrets, write_private
from merkato.chassis.supervisor import Account, CannotStart, Child

_ELSEWHERE = Path("/var/lib/merkato")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_HOST_RULES = "host all all 127.0.0.1/32 scram-sha-256\n"
_SETTINGS = {
    # What an acknowledged order rests on.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "data_sync_retry": "off",
    "wal_level": "replica",
    # Who may come in.
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "tcp_keepalives_idle": "10",
    "tcp_user_timeout": "10000",
    # Sized for two cores that it shares with the shop.
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "deadlock_timeout": "200ms",
    "autovacuum_naptime": "15s",
    # What it writes down.
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # without DETAIL, which quotes rows, and so people
    "log_timezone": "UTC",
    "timezone": "UTC",
}


async def child(home: Home, kept: Secrets) -> Child:
    """Make the data folder if there is none and give the process to run; see `admin_dsn`.

    Raises CannotStart when the folder is of another major version, or cannot be made.
    """
    account = _account()
    programs = _reachable_programs(binaries.postgres(), account)
    data = _data_folder(home, account)
    if not (data / "PG_VERSION").exists():
        _initialise(home, data, programs, account, kept.postgres["admin"])
    found = (data / "PG_VERSION").read_text().strip()
    if found != binaries.POSTGRES_MAJOR:
        raise CannotStart(
            f"{data} was written by PostgreSQL {found}, and this is {binaries.POSTGRES_MAJOR}; "
            f"carry it over with pg_dump of version {found}, or set MERKATO_HOME to a new folder."
        )
    port = ports.pick(home.ports().get("postgres"))
    home.remember_port("postgres", port)
    _write(data / "postgresql.conf", _configuration(port), account)
    _write(data / "pg_hba.conf", _HOST_RULES, account)
    dsn = admin_dsn(home, kept)

    async def ready() -> bool:
        return await provision.answers(dsn)

    return Child(
        name="postgres",
        command=(str(programs / "bin" / "postgres"), "-D", str(data)),
        log=home.logs / "postgres.log",
        address=f"127.0.0.1:{port}",
        environment=_ENVIRONMENT,
        account=account,
        stop_signal=signal.SIGINT,  # fast shutdown: roll back, write a checkpoint, end
        stop_within_s=60,
        ready=ready,
        ready_within_s=600,  # recovery after a crash takes what it takes
        reason=_reason,
        yields=True,
    )


def admin_dsn(home: Home, kept: Secrets) -> str:
    """Give the superuser's DSN of the embedded server, on the port used last."""
    return (
        f"postgresql://merkato:{kept.postgres['admin']}@127.0.0.1:"
        f"{home.ports()['postgres']}/postgres"
    )


def _configuration(port: int) -> str:
    lines = [f"{name} = '{value}'\n" for name, value in (_SETTINGS | {"port": str(port)}).items()]
    return "# Written by Merkato at every start; changes are lost.\n" + "".join(lines)


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise CannotStart(
        "PostgreSQL does not run as root, and there is no account 'postgres' or 'nobody' to run it "
        "as; start Merkato as an ordinary user, or give a server by DATABASE_URL."
    )


def _can(account: Account, wanted: int, path: Path) -> bool:
    """Tell by owner, group and mode whether `account` may do `wanted` (4 read, 1 enter) at `path`.

    It must be able to enter every folder above.
    """
    for place in (path, *path.parents):
        info = place.stat()
        shift = 6 if info.st_uid == account.uid else 3 if info.st_gid == account.gid else 0
        if (info.st_mode >> shift) & wanted != wanted:
            return False
        wanted = 0o1
    return True


def _reachable_programs(folder: Path, account: Account | None) -> Path:
    folder = folder.resolve()
    needed = [folder / "bin" / "postgres", folder / "lib", folder / "share"]
    if account is None or all(_can(account, 0o5, path) for path in needed):
        return folder
    package = folder.parent
    info = (folder / "bin" / "postgres").stat()
    copy = _elsewhere() / f"programs-{info.st_size:x}-{int(info.st_mtime):x}"
    if not copy.exists():
        partial = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}")
        inside = partial / package.name / folder.name
        shutil.copytree(folder, inside, symlinks=True, ignore=lambda at, _: _unneeded(at))
        libraries = package.with_name(f"{package.name}.libs")  # beside the package, as programs ask
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            partial.rename(copy)
        except OSError:  # somebody else was faster, with the same content
            shutil.rmtree(partial)
    return copy / package.name / folder.name


def _unneeded(folder: str) -> list[str]:
    if Path(folder).name == "bin":
        return [name for name in os.listdir(folder) if name not in {"postgres", "initdb"}]
    return ["include"]


def _elsewhere() -> Path:
    try:
        _ELSEWHERE.mkdir(mode=0o711, exist_ok=True, parents=True)
    except OSError as error:
        raise CannotStart(
            f"PostgreSQL's account cannot reach the data folder, and {_ELSEWHERE} cannot be made "
            f"({error.strerror}); set MERKATO_HOME to a folder everybody may enter."
        ) from error
    return _ELSEWHERE


def _data_folder(home: Home, account: Account | None) -> Path:
    """Give the data folder, made empty if need be; moved to where the account can reach it."""
    if home.postgres.is_symlink():
        data = home.postgres.readlink()
        if not data.is_dir():
            raise CannotStart(
                f"The database of {home.path} is gone: it was in {data}; restore that folder, or "
                f"remove {home.postgres} to begin with an empty shop."
            )
        return data
    if account is None or _can(account, 0o1, home.path.resolve()):
        return home.postgres
    name = hashlib.sha256(str(home.path).encode()).hexdigest()[:12]
    place = _elsewhere() / f"{name}-{secrets.token_hex(4)}"  # a removed home leaves its old one
    place.mkdir(mode=0o711)
    data = place / "postgres"
    if home.postgres.exists():
        shutil.move(home.postgres, data)
        for path in (data, *data.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    else:
        data.mkdir(mode=0o700)
        os.chown(data, account.uid, account.gid)
    home.postgres.symlink_to(data)
    return data


def _initialise(
    home: Home, data: Path, programs: Path, account: Account | None, password: str
) -> None:
    """Make a database cluster; a start that was cut short is begun again."""
    partial, word = data.with_name("postgres.partial"), data.with_name("postgres.password")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    _write(word, password, account)
    if account:
        os.chown(partial, account.uid, account.gid)
    command = [
        *(str(programs / "bin" / "initdb"), "-D", str(partial)),
        *("--username=merkato", f"--pwfile={word}", "--auth=scram-sha-256", "--data-checksums"),
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]
    try:
        made = subprocess.run(
            command,
            cwd="/",
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    finally:
        word.unlink()
    if made.returncode != 0:
        raise CannotStart(f"The database cannot be made: {_reason(made.stderr)}")
    if data.is_dir():
        data.rmdir()  # raises if it is not empty: never write over anything
    partial.rename(data)


def _write(file: Path, content: str, account: Account | None) -> None:
    write_private(file, content.encode())
    if account:
        os.chown(file, account.uid, account.gid)


def _reason(tail: str) -> str:
    """Say in a sentence why PostgreSQL ended, from the end of its log."""
    if "No space left on device" in tail:
        return "the disk is full; make room and start again."
    if re.search(r"could not bind|Address already in use", tail):
        return "its port was taken in between; start again."
    said = re.findall(r"(?:FATAL|PANIC|error):\s+(.*)", tail)
    return str(said[-1]) if said else tail.rstrip().rpartition("\n")[2] or "it said nothing"
