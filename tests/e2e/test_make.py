"""`make up_build`, `down` and `logs`: what they ask of the container engine, and when of `merkato`.

The engine is a script that notes what it is asked: none can run here.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make(tmp_path):
    """Run make in a copy of the repository's top: (words) -> (what docker was asked, output)."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns(".env"))
    for name, text in (
        ("bin/docker", 'echo "$@" >> asked\ncase "$*" in *ps*) cat running;; esac'),
        (".venv/bin/merkato", 'echo "merkato $@"'),
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text("#!/bin/sh\n" + text + "\n")
        file.chmod(0o755)
    for name in ("requirements.lock", "pyproject.toml", ".venv/bin/python", ".venv/.installed"):
        (tmp_path / name).touch()

    def run(*words, running=""):
        (tmp_path / "running").write_text(running)
        (tmp_path / "asked").write_text("")
        done = subprocess.run(
            ["make", *words], cwd=tmp_path, capture_output=True, text=True, check=True,
            env=os.environ | {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        )  # fmt: skip
        return (tmp_path / "asked").read_text().splitlines(), done.stdout

    run.folder = tmp_path
    return run


def test_up_build_makes_a_password_once(make):
    asked, _ = make("up_build")
    assert asked == ["compose --file deploy/compose.yaml up --build --detach"]
    file = make.folder / "deploy/.env"
    kept = file.read_text()
    [password] = [line for line in kept.splitlines() if line.startswith("POSTGRES_PASSWORD=")]
    assert len(password.partition("=")[2]) == 32
    assert file.stat().st_mode & 0o077 == 0
    make("up_build")
    assert file.read_text() == kept


@pytest.mark.parametrize(
    ("target", "ours", "theirs"),
    [("down", "down", "down"), ("logs", "logs --follow", "logs --follow")],
)
def test_down_and_logs_act_on_whichever_runs(make, target, ours, theirs):
    asked, said = make(target, running="4f1c9a\n")
    assert asked[-1] == f"compose --file deploy/compose.yaml {theirs}"
    assert "merkato" not in said
    asked, said = make(target)
    assert asked == ["compose --file deploy/compose.yaml ps --quiet"]
    assert f"merkato {ours}" in said
    (make.folder / "bin/docker").unlink()
    assert f"merkato {ours}" in make(target)[1]
