"""The pages of docs/ that describe formats say what the code and the committed files hold."""

import csv
import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "results"))
import page_files  # noqa: E402
import schema_docs  # noqa: E402

OUTPUTS = (ROOT / "docs" / "outputs.md").read_text()
FOLDERS = ("diverse", "paper_mini")
FILES = [f for folder in FOLDERS for f in sorted((ROOT / "results" / folder).iterdir()) if f.is_file()]
TABLES = [f for f in FILES if f.name == "correlations.csv"]
METHODS = {row["method"] for table in TABLES for row in csv.DictReader(table.open())}


def test_the_schema_page_is_up_to_date():
    assert page_files.renewed(schema_docs.pages(), check=True) == 0, "python scripts/results/schema_docs.py"


def test_a_field_without_a_sentence_is_refused():
    class Silent(schema_docs.Spec):
        field: int = 1

    with pytest.raises(ValueError, match="Got none for field"):
        schema_docs.field_docs(Silent)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_every_file_of_a_run_has_its_place_in_the_dictionary(file):
    drawn = {".tex", ".png", ".md"}
    stem = "table" if file.name.startswith("table-without") else file.name.partition(".")[0].partition("-")[0]
    shown = f"{stem}{file.suffix}"
    known = shown in OUTPUTS or (file.suffix in drawn and (stem in OUTPUTS or file.parent.name == "paper_mini"))
    assert known, f"docs/outputs.md must say what {file.name} is"


@pytest.mark.parametrize("file", [f for f in FILES if f.suffix in (".csv", ".parquet")], ids=lambda f: f.name)
def test_every_column_is_in_the_dictionary(file):
    columns = next(csv.reader(file.open())) if file.suffix == ".csv" else pq.read_schema(file).names
    words = set(re.findall(r"`([^`]+)`", OUTPUTS))
    words |= {f"{word}{end}" for word in words for end in ("_sd", "_low", "_high")}
    # what every table is indexed by, and methods' own columns, need no line of their own
    plain = {"method", "target", "models", "methods", "draws", "measure", "mean", "sd", "low", "high", "p"}
    assert [c for c in columns if c not in words | plain | METHODS] == []


def test_the_index_leads_to_every_page():
    text = (ROOT / "docs" / "README.md").read_text()
    linked = {name.partition("#")[0] for name in re.findall(r"\]\(([^)]+)\)", text)}
    assert all((ROOT / "docs" / name).exists() for name in linked)
    assert {p.name for p in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked
