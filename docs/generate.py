"""Write the reference pages that are made from the code: `make fix` runs it, a test compares.

The page of settings is read from the source of config.py, not from the imported module, because
the meaning of a setting stands in the comment beside it.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "src/merkato/config.py"
PAGE = ROOT / "docs/reference/configuration.md"
HEAD = """\
# Configuration

Made from `src/merkato/config.py` by `make fix`; do not edit.

`merkato up` writes a configuration for a shop on one machine by itself. Everywhere else, one JSON
file holds the settings below, nested as the headings say.
The unit is the end of a name: `_s` seconds, `_ms` milliseconds, `_kib` kibibytes, `_max` a limit.
"""
TABLE = "| Setting | Type | Default | Meaning |\n|---|---|---|---|"


def settings(source: str) -> list[tuple[str, str, list[tuple[str, str, str, str]]]]:
    """Give (class, its sentence, [(name, type, default, meaning)]) for each struct of settings."""
    lines = source.splitlines()
    found = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef) or "Struct" not in ast.unparse(node.bases[0]):
            continue
        fields = [
            (
                field.target.id,
                ast.unparse(field.annotation),
                ast.unparse(field.value) if field.value else "required",
                comment(lines, field),
            )
            for field in node.body
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        ]
        found.append((node.name, ast.get_docstring(node) or "", fields))
    return found


def comment(lines: list[str], field: ast.AnnAssign) -> str:
    """Give the comment at the end of a field's last line, or on the lines above it."""
    last = lines[(field.end_lineno or field.lineno) - 1]
    behind = last[field.end_col_offset :].strip()
    if behind.startswith("#"):
        return behind.lstrip("# ")
    above = []
    number = field.lineno - 2
    while number >= 0 and lines[number].strip().startswith("#"):
        above.insert(0, lines[number].strip().lstrip("# "))
        number -= 1
    return " ".join(above)


def variables(source: str) -> list[tuple[str, str]]:
    """Give (environment variable, meaning) for each that config.py reads."""
    found = {}
    for function in ast.parse(source).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        said = " ".join((ast.get_docstring(function) or "").split("\n\n")[0].split())
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("os.environ.get", "os.getenv")
                and isinstance(node.args[0], ast.Constant)
            ):
                found[str(node.args[0].value)] = said
    return sorted(found.items())


def configuration(source: str) -> str:
    """Make the page of settings from the source of config.py."""
    structs = {name: (said, fields) for name, said, fields in settings(source)}
    page = [HEAD, "## Environment\n", "| Variable | Read to |\n|---|---|"]
    page += [f"| `{name}` | {cell(said)} |" for name, said in variables(source)]
    for name in sorted(structs, key=lambda name: (name != "Config", list(structs).index(name))):
        said, fields = structs[name]
        place = "The file" if name == "Config" else f"`{name.lower()}`"
        page.append(f"\n## {place}\n\n{said}\n\n{TABLE}")
        page += [
            f"| `{field}` | {code(kind)} | {code(default)} | {cell(meaning)} |"
            for field, kind, default, meaning in fields
            if kind not in structs
        ]
    return "\n".join(page) + "\n"


def cell(text: str) -> str:
    """Make text fit a cell of a table."""
    return text.replace("|", "\\|")


def code(text: str) -> str:
    """Make code fit a cell of a table."""
    return f"`{cell(text)}`"


if __name__ == "__main__":
    import reference_pages  # beside this file

    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(configuration(CONFIG.read_text()))
    for name, text in reference_pages.made().items():
        file = PAGE.parent / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
