"""House rules that no linter knows. Each is shown an offence, so that we know it bites."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
JUNK_DRAWERS = {
    *("util", "utils", "helper", "helpers", "common", "core", "shared"),
    *("base", "lib", "misc"),
}
PATTERN_NAMES = re.compile(r"^Base[A-Z]|(Manager|Helper|Processor|Impl)$")
ROOMS = {
    *("__init__", "domain", "schema", "store", "providers", "actions", "handlers", "jobs"),
    *("http", "templates", "static", "service"),
}
NOT_SERVICES = {"audit", "chassis", "cli", "client", "contracts", "demo", "outside", "replay"}
# The gateway keeps nothing and decides nothing: it forwards, limits and shows documentation.
GATEWAY_ROOMS = {"routing", "limits", "headers", "pages", "documents", "nginx"}
FILE_ROOMS = {"schema", "templates", "static"}
IMPURE_CALLS = {"now", "utcnow", "today", "time", "monotonic", "uuid1", "uuid4", "uuid7", "random"}
SQL = re.compile(
    r"\s*(select\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s)", re.I
)
# Written in pieces, so that this file does not hold what it forbids.
MACHINE = re.compile(
    "|".join(
        [
            *(rf"(?<![\w.]){re.escape('/' + folder)}/" for folder in ("work", "root", "opt")),
            r"(?<![\w.])/home/\w",
            *(r"\.".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"))),
            *(r"\.".join(host) for host in (("npmjs", "org"), ("debian", "org/debian"))),
        ]
    )
)
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")


def tracked() -> list[Path]:
    """List the repository's text files: those of git, and those it would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    files = sorted(ROOT / name for name in set(listed) if "/swagger-ui/" not in name)  # not ours
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()]


def place_offences(path: PurePosixPath) -> Iterator[str]:
    """Say what is wrong with where a file stands and what it is called (path below the root)."""
    for part in (*path.parts[:-1], path.stem):
        if part.lower() in JUNK_DRAWERS:
            yield f"{path}: '{part}' is a junk drawer; name it after what it does"
    if path.parts[:2] != ("src", "merkato") or len(path.parts) < 4:
        return
    service, room, *below = path.parts[2:]
    room = room.removesuffix(".py")
    if len(below) > (2 if room in FILE_ROOMS else 1):
        yield f"{path}: nested deeper than src/merkato/<service>/<room>/<file>"
    rooms = ROOMS | GATEWAY_ROOMS if service == "gateway" else ROOMS
    if service not in NOT_SERVICES and room not in rooms:
        yield f"{path}: '{room}' is not a room of a service"


def text_offences(path: PurePosixPath, text: str) -> Iterator[str]:
    """Say what no file may hold, whatever its kind."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := MACHINE.search(line):
            yield f"{path}:{number}: '{found[0]}' is a place on one machine or an index's address"
        if found := UNFINISHED.search(line):
            yield f"{path}:{number}: {found[0]}; do it, or write it down in docs/status.md"


def python_offences(path: PurePosixPath, text: str) -> Iterator[str]:
    """Say what is untidy about a Python file."""
    if (lines := len(text.splitlines())) > FILE_LINES_MAX:
        yield f"{path}: {lines} lines, at most {FILE_LINES_MAX}; split the room by noun"
    try:
        tree = ast.parse(text)
    except SyntaxError as wrong:
        yield f"{path}:{wrong.lineno}: not Python {sys.version_info[0]}.{sys.version_info[1]}"
        return
    if not ast.get_docstring(tree):
        yield f"{path}: no sentence at the top that says what this file is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, at most 60"
        if isinstance(node, ast.ClassDef) and PATTERN_NAMES.search(node.name):
            yield f"{path}:{node.lineno}: {node.name} is named after a pattern, not a thing"
    if path.parts[:2] == ("src", "merkato"):
        yield from source_offences(path, tree)


def source_offences(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """Say what the product's code may not do in this place, tests may."""
    pure = "domain" in (path.stem, path.parent.name) or "contracts" in path.parts
    in_store = "store" in (path.stem, path.parent.name)
    in_service = len(path.parts) > 3 and path.parts[2] not in NOT_SERVICES
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0] if node.body else None, ast.Expr)
    }
    for node in ast.walk(tree):
        at = f"{path}:{getattr(node, 'lineno', 0)}"
        if path.name != "config.py" and reads_environment(node):
            yield f"{at}: the environment is read in config.py alone"
        if pure and is_float(node):
            yield f"{at}: a float where money is counted"
        if path.stem == "domain" and impure_call(node):
            yield f"{at}: a rule reads no clock and throws no dice; take it as an argument"
        if in_service and not in_store and is_sql(node) and id(node) not in prose:
            yield f"{at}: SQL outside store.py"
    if in_service and in_store:
        yield from statement_offences(path, tree)


def reads_environment(node: ast.AST) -> bool:
    """Tell whether this is `os.environ`, `os.getenv` or an import of either."""
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return any(name.name in ("environ", "getenv", "putenv") for name in node.names)
    return isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "putenv")


def is_float(node: ast.AST) -> bool:
    """Tell whether this is a float, its type or a division that makes one."""
    if isinstance(node, ast.BinOp | ast.AugAssign):
        return isinstance(node.op, ast.Div)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    return isinstance(node, ast.Name) and node.id == "float"


def impure_call(node: ast.AST) -> bool:
    """Tell whether this asks the clock or the dice."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in IMPURE_CALLS


def is_sql(node: ast.AST) -> bool:
    """Tell whether this is a string that begins like a statement."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and SQL.match(node.value) is not None
    )


def statement_offences(path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    """Say which statements of a store are not a constant with exactly one user."""
    constants = {
        node.targets[0].id: node
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and is_sql(node.value)
    }
    named = {id(node.value) for node in constants.values()}
    for node in ast.walk(tree):
        if is_sql(node) and id(node) not in named and not is_docstring(tree, node):
            yield f"{path}:{getattr(node, 'lineno', 0)}: a statement that is not a constant"
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for name, constant in constants.items():
        users = sum(
            any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(function))
            for function in functions
        )
        if not name.isupper() or users != 1:
            yield f"{path}:{constant.lineno}: {name} has {users} users; one statement, one function"


def is_docstring(tree: ast.Module, node: ast.AST) -> bool:
    """Tell whether a string is a docstring, which may well begin with 'Select'."""
    return any(isinstance(other, ast.Expr) and other.value is node for other in ast.walk(tree))


def offences(path: PurePosixPath, text: str) -> list[str]:
    """Say everything that is wrong with one file."""
    said = [*place_offences(path)]
    if not path.name.endswith((".lock", "LICENSE")):
        said += text_offences(path, text)
    if path.suffix == ".py":
        said += python_offences(path, text)
    return said


def test_every_file_is_tidy() -> None:
    files = tracked()
    assert len(files) > 10
    said = [
        offence
        for file in files
        for offence in offences(
            PurePosixPath(file.relative_to(ROOT).as_posix()), file.read_text("utf-8")
        )
    ]
    assert said == [], "\n".join(said)


def test_locks_hold_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / name).read_text().splitlines()
        assert [line for line in lines if "://" in line or line.startswith("-")] == []
        pins = [number for number, line in enumerate(lines) if "==" in line]
        assert len(pins) > 20
        assert [lines[pin] for pin in pins if "--hash=sha256:" not in lines[pin + 1]] == []


DOC = '"""Doc."""\n'
STORE = "src/merkato/orders/store.py"
DOMAIN = "src/merkato/orders/domain.py"
OFFENCES = [
    ("src/merkato/chassis/utils.py", DOC, "junk drawer"),
    ("docs/common/x.md", "", "junk drawer"),
    ("src/merkato/orders/http/v1/carts.py", DOC, "nested deeper"),
    ("src/merkato/orders/managers.py", DOC, "not a room"),
    ("src/merkato/orders/routing.py", DOC, "not a room"),
    ("tests/unit/long.py", DOC + "x = 1\n" * FILE_LINES_MAX, "lines, at most"),
    ("tests/unit/mute.py", "x = 1\n", "no sentence"),
    ("bench/f.py", DOC + "def f(:\n", "not Python 3"),
    ("bench/f.py", DOC + "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX, "f has 61 lines"),
    ("bench/f.py", DOC + "class OrderManager:\n    x = 1\n", "named after a pattern"),
    ("README.md", "See " + "/".join(["", "work", "notes"]), "a place on one machine"),
    ("README.md", "https://" + "pypi" + ".org/simple", "an index's address"),
    ("docs/x.md", "TO" + "DO: write", "do it"),
    ("src/merkato/cli/x.py", DOC + "import os\nos.environ['A']\n", "the environment"),
    ("src/merkato/cli/x.py", DOC + "from os import getenv\n", "the environment"),
    (DOMAIN, DOC + "half = 0.5\n", "a float"),
    (DOMAIN, DOC + "def tax(x, y):\n    return x / y\n", "a float"),
    ("src/merkato/contracts/x.py", DOC + "price: float\n", "a float"),
    (DOMAIN, DOC + "from datetime import datetime\nat = datetime.now()\n", "reads no clock"),
    (DOMAIN, DOC + "import uuid\nid = uuid.uuid4()\n", "reads no clock"),
    ("src/merkato/orders/http.py", DOC + 'x = "select 1"\n', "SQL outside"),
    (STORE, DOC + 'def f(tx):\n    return tx.run("select 1")\n', "not a constant"),
    (STORE, DOC + 'ONE = "select 1"\n', "has 0 users"),
    (STORE, DOC + 'A = "select 1"\ndef f():\n    A\ndef g():\n    A\n', "has 2 users"),
]


@pytest.mark.parametrize(("path", "text", "complaint"), OFFENCES)
def test_each_rule_bites(path: str, text: str, complaint: str) -> None:
    [said] = offences(PurePosixPath(path), text)
    assert complaint in said


def test_what_is_tidy_is_left_alone() -> None:
    text = DOC + 'ALL = "select 1"\n\n\ndef every(tx):\n    """Select all."""\n    return ALL\n'
    assert offences(PurePosixPath(STORE), text) == []
