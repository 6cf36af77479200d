"""The house keeps its rules: import contracts, no private name of another module, a page that is current."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import architecture

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(f for folder in ("benchmark", "methods") for f in (ROOT / folder).rglob("*.py"))
RENEW = "run python scripts/architecture.py"
LIGHT = ("stats", "tables", "reporting", "literature", "ranking.prediction", "ranking.recommend", "config")
"""Rooms that read and write tables: importing them must not load a deep-learning package."""


def contracts(folder: Path) -> subprocess.CompletedProcess:
    """import-linter on a folder, in a process of its own: it imports the packages that it looks at."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)


def test_the_import_contracts_hold():
    done = contracts(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("benchmark/files.py", "from benchmark.cells import store", "One way"),
        ("benchmark/stats/measures.py", "from benchmark.stats import correlations", "No circle"),
        ("methods/parc.py", "from benchmark import files", "Estimators know nothing"),
        ("benchmark/stats/measures.py", "import torch", "Tables without"),
    ],
)
def test_a_planted_import_breaks_its_contract(module, line, broken, tmp_path):
    for folder in ("benchmark", "methods"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "shipped"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = contracts(tmp_path)
    assert done.returncode == 1
    assert any(text.startswith(broken) and text.endswith("BROKEN") for text in done.stdout.splitlines()), done.stdout


def test_no_module_imports_a_private_name_of_another():
    found = []
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("benchmark", "methods"):
                found += [
                    f"{file.relative_to(ROOT)}: {a.name}"
                    for a in node.names
                    if a.name.startswith("_") and not a.name.startswith("__")
                ]
    assert found == []


def test_rooms_of_tables_load_no_deep_learning_package():
    code = "import importlib, sys\n"
    code += "".join(f"importlib.import_module('benchmark.{room}')\n" for room in LIGHT)
    code += "import pkgutil, benchmark.stats, benchmark.tables, benchmark.reporting, benchmark.literature\n"
    code += "for room in (benchmark.stats, benchmark.tables, benchmark.reporting, benchmark.literature):\n"
    code += "    for found in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
    code += "        importlib.import_module(found.name)\n"
    code += "print(sorted({'torch', 'timm', 'torchvision', 'ray', 'wandb', 'plotly'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_architecture_page_shows_todays_imports():
    above, used = architecture.floors(), architecture.uses()
    assert architecture.PICTURE.read_text(encoding="utf-8") == architecture.picture(above, used), RENEW
    text = architecture.PAGE.read_text(encoding="utf-8")
    assert text == architecture.page(text, architecture.table(above, used)), RENEW


def test_a_command_starts_once_all_of_it_is_there():
    """`if __name__ == "__main__"` stands last: what is defined after it is missing where the module is the command."""
    seen = 0
    for file in [*MODULES, *sorted((ROOT / "scripts").rglob("*.py"))]:
        body = ast.parse(file.read_text(encoding="utf-8")).body
        starts = [i for i, node in enumerate(body) if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
        assert starts in ([], [len(body) - 1]), file
        seen += len(starts)
    assert seen > 10
