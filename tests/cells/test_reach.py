"""What a function of somebody's own can reach: by imports in the source, and by what the files say to Python."""

import importlib
import sys
from pathlib import Path

import pytest

from benchmark.cells.keys import code_of
from benchmark.cells.reach import meaning, reached

FILES = {
    "desk_pack/__init__.py": "",
    "desk_pack/mine.py": "from . import near\nfrom .inner.deep import scale as s\n"
    "def score(features):\n    import desk_pack.late\n    return near.one() * s()\n",
    "desk_pack/near.py": "import json, numpy\nfrom desk_beside import base\ndef one():\n    return base()\n",
    "desk_pack/late.py": "",
    "desk_pack/inner/__init__.py": "from ..from_init import k\n",
    "desk_pack/inner/deep.py": "def scale():\n    return 1.0\n",
    "desk_pack/from_init.py": "k = 1\n",
    "desk_pack/unrelated.py": "k = 1\n",
    "desk_beside.py": "def base():\n    return 1.0\n",
    "desk_elsewhere.py": "k = 1\n",
    "desk_loader/__init__.py": "",
    "desk_loader/mine.py": "import importlib\ndef score(features):\n"
    "    return importlib.import_module('desk_loader.' + 'x').k\n",
    "desk_loader/x.py": "k = 1.0\n",
    "desk_wrap.py": "import methods\ndef score(features, labels):\n    return methods.ncc(features, labels)\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    importlib.invalidate_caches()
    yield tmp_path
    for name in [n for n in sys.modules if n.startswith("desk_")]:
        del sys.modules[name]


def names(folder: Path, *modules: str) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in reached(modules).values() if file.is_relative_to(folder)}


def test_imports_are_followed_through_the_package_and_beside_it(folder):
    assert names(folder, "desk_pack.mine") == {
        *("desk_pack/__init__.py", "desk_pack/mine.py", "desk_pack/near.py", "desk_pack/late.py"),
        *("desk_pack/inner/__init__.py", "desk_pack/inner/deep.py", "desk_pack/from_init.py", "desk_beside.py"),
    }
    assert not [n for n in sys.modules if n.startswith("desk_")], "nothing is imported to find out"


def test_an_installed_package_counts_only_where_it_holds_the_function(folder):
    assert not [n for n in reached(["desk_pack.mine"]) if n.startswith("numpy")]
    inside = reached(["pydantic.color"])
    assert "pydantic.color" in inside
    assert all(name.startswith("pydantic") for name in inside)


def test_this_projects_methods_count_where_they_are_called(folder):
    found = reached(["desk_wrap"])
    assert {"desk_wrap", "methods", "methods.ncc", "methods.shared.linalg"} <= set(found)


def test_a_file_that_imports_by_a_computed_name_counts_with_its_package(folder):
    assert {"desk_loader/mine.py", "desk_loader/x.py"} <= names(folder, "desk_loader.mine")


def key(path: str) -> str:
    code_of.cache_clear()
    module, _, name = path.rpartition(".")
    return code_of(getattr(importlib.import_module(module), name), path)


@pytest.mark.parametrize("edited", ["desk_pack/unrelated.py", "desk_elsewhere.py", "desk_loader/x.py"])
def test_an_edit_of_a_file_that_it_cannot_reach_leaves_its_scores(folder, edited):
    before = key("desk_pack.mine.score")
    (folder / edited).write_text("k = 2\n")
    assert key("desk_pack.mine.score") == before


@pytest.mark.parametrize(
    "edited", ["mine.py", "near.py", "late.py", "inner/__init__.py", "inner/deep.py", "from_init.py", "__init__.py"]
)
def test_an_edit_of_a_file_that_it_can_reach_makes_its_scores_anew_and_a_comment_does_not(folder, edited):
    before, file = key("desk_pack.mine.score"), folder / "desk_pack" / edited
    file.write_text(f'"""New words."""\n\n# and more\n{file.read_text()}')
    assert key("desk_pack.mine.score") == before
    file.write_text(file.read_text() + "new = 2\n")
    assert key("desk_pack.mine.score") != before


def test_comments_docstrings_and_layout_say_nothing_and_everything_else_does(tmp_path):
    def said(text: str) -> str:
        (tmp_path / "x.py").write_text(text)
        return meaning(tmp_path / "x.py")

    plain = said("def f(a):\n    return a + 1\n\nclass C:\n    pass\n")
    assert plain == said(
        '"""Words."""\ndef f( a ):  # why\n    """Docs."""\n    return (a+1)\nclass C:\n    """Docs."""\n'
    )
    assert plain != said("def f(a):\n    return a + 2\n\nclass C:\n    pass\n")
    assert said("x = 'text'\n") != said("x = 'other'\n")
    assert said("no python here (\n") != said("nor here (\n")  # compared by their bytes
