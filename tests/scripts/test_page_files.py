"""Pages are written where they are not up to date, and with check=true only named."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "results"))
from page_files import command


def test_what_is_not_up_to_date_is_named_or_written(tmp_path, capsys):
    new, same = tmp_path / "new.md", tmp_path / "same.md"
    same.write_text("as it was\n")
    pages = {new: "ä\n", same: "as it was\n"}
    assert command(lambda: pages, ["check=true"]) == 1
    assert capsys.readouterr().out == "new.md: not up to date\n"
    assert not new.exists()
    assert command(lambda: pages, []) == 0
    assert capsys.readouterr().out == "new.md: written\n"
    assert new.read_text(encoding="utf-8") == "ä\n"
    assert command(lambda: pages, ["check=true"]) == 0
    assert capsys.readouterr().out == "up to date\n"


def test_an_unknown_argument_writes_nothing(tmp_path, capsys):
    assert command(lambda: {tmp_path / "page.md": "text"}, ["--check"]) == 2
    assert "Got --check" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
