"""From any folder, from a wheel, in any locale: the same project is found, and nothing is left behind."""

import ast
import io
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import __main__ as command
from benchmark import places, surroundings
from tests.running import ROOT

THEIRS = "raise ImportError('the methods.py of this folder')"

FOUND = """
import sys
from pathlib import Path
from benchmark import provenance
from benchmark.cells.store import Store
from benchmark.config.compose import compose
from benchmark.config.validation import experiment
from benchmark.models import weights
from benchmark.ranking import transfers
import methods

spec = experiment(compose(["experiment=diverse"]))
store = Store(spec.paths.cache, spec.paths.released)
print(Path(methods.__file__).parent.parent, spec.paths.released, len(transfers.known()), bool(weights.locked()))
print(*(len(store.released_keys(stage)) for stage in ("weights", "tune", "truth")), provenance.commit())
"""


def python(*words: str, at: Path, **environment: str) -> str:
    """What a Python in a folder prints; it must end well."""
    done = subprocess.run(
        [sys.executable, *words], cwd=at, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wheel_has_all_that_commands_read(tmp_path):
    """What pip would install, in a folder where another methods.py lies, finds its own parts and no checkout."""
    pytest.importorskip("setuptools")
    python("setup.py", "-q", "build_py", f"--build-lib={tmp_path}/installed", at=ROOT)
    (tmp_path / "methods.py").write_text(THEIRS, encoding="utf-8")
    said = python("-c", FOUND, at=tmp_path, PYTHONPATH=f"{tmp_path}:{tmp_path}/installed")
    first, second = said.splitlines()
    shipped = tmp_path / "installed" / "benchmark" / "shipped"
    code, released, known, pinned = first.split()
    assert (Path(code), Path(released)) == (tmp_path / "installed", shipped / "results" / "released")
    assert pinned == "True"
    layer = places.shipped("results/released")
    assert {p.relative_to(shipped / "results/released") for p in shipped.rglob("results/released/**/*")} == {
        p.relative_to(layer) for p in layer.rglob("*")
    }
    from benchmark import provenance
    from benchmark.cells.store import STAGES, Store
    from benchmark.ranking import transfers

    assert int(known) == len(transfers.known())
    counts = [len(Store(tmp_path / "none", layer).released_keys(stage)) for stage in STAGES[1:4]]
    assert second.split() == [*map(str, counts), str(provenance.commit())]
    assert {p.name for p in tmp_path.iterdir()} == {"methods.py", "installed"}


def test_the_references_of_the_first_table_are_released():
    """With them nothing is trained when a fresh clone runs experiment=diverse."""
    from benchmark.cells import planner
    from benchmark.cells.store import Store
    from benchmark.config import compose
    from benchmark.config.validation import experiment

    spec = experiment(compose.compose(["experiment=diverse", "paths.cache=none"]))
    missing = planner.plan(spec).missing(Store(spec.paths.cache, spec.paths.released))
    assert {c.stage for c in missing} == {"pack", "probe", "score"}


def test_everything_else_is_relative_to_the_caller(monkeypatch, tmp_path):
    from benchmark.config import compose
    from benchmark.config.validation import experiment

    monkeypatch.chdir(tmp_path)
    paths = experiment(compose.compose(["paths.data=mine"])).paths
    assert paths.released == ROOT / "results/released"
    assert [str(p) for p in (paths.cache, paths.out, paths.data)] == [".cache", "outputs/run", "mine"]
    assert experiment(compose.compose(["paths.released=mine"])).paths.released == Path("mine")


def test_a_function_in_a_hidden_methods_py_is_explained(monkeypatch, tmp_path, capsys):
    from benchmark.config import cli

    monkeypatch.chdir(tmp_path)
    (tmp_path / "methods.py").write_text(THEIRS, encoding="utf-8")
    code = cli.experiments(lambda _: 0, "", ["+method.mine._target_=methods.my_score"])
    assert code == 2
    assert "hidden by this project's package; rename it" in capsys.readouterr().err


def test_methods_of_others_imported_first_are_an_error(tmp_path):
    (tmp_path / "methods.py").write_text("", encoding="utf-8")
    code = "import methods\ntry:\n    import benchmark\nexcept ImportError as error:\n    print(error)"
    said = python("-c", code, at=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert said.startswith("'methods' must be this project's package. Got ")
    assert f"Got {tmp_path}/methods.py, imported before. Import benchmark first, or rename" in said


# one command for all


def test_the_console_command_knows_every_module_with_a_main(monkeypatch, capsys):
    mains = {p.stem for p in (ROOT / "benchmark").glob("*.py") if "\ndef main(" in p.read_text(encoding="utf-8")}
    assert set(command.COMMANDS) == mains - {"__main__"}
    monkeypatch.setattr(sys, "argv", ["benchmark", "--help"])
    assert command.main() == 0
    assert "\n  rank        which pretrained model" in capsys.readouterr().out


def test_the_console_command_hands_over(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["benchmark", "run", "probe.sise=3"])
    assert command.main() == 2
    assert "Did you mean 'probe.size'?" in capsys.readouterr().err
    assert sys.path[-1] == str(tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmark", "rnu"])
    assert command.main() == 2
    assert capsys.readouterr().err == "error: rnu must be a command. Did you mean 'run'?\n"


# locales


@pytest.mark.parametrize(
    ("encoding", "printed"), [("ascii", "τ é".encode()), ("latin-1", b"? \xe9"), ("utf-8", "τ é".encode())]
)
def test_any_character_can_be_printed(encoding, printed):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    surroundings.legible(stream)
    print("τ é", file=stream, end="", flush=True)
    assert raw.getvalue() == printed


def texts(tree: ast.AST):
    """Calls that open a text file."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        owner = getattr(getattr(call.func, "value", None), "id", "")
        modes = [a.value for a in call.args if isinstance(a, ast.Constant)]
        if name in ("read_text", "write_text") or (
            name == "open" and owner not in ("Image", "os", "archive") and not any("b" in str(m) for m in modes)
        ):
            yield call


@pytest.mark.parametrize("folder", ["benchmark", "methods", "scripts"])
def test_no_text_file_depends_on_the_locale(folder):
    files = list((ROOT / folder).rglob("*.py"))
    calls = [(f.name, c) for f in files for c in texts(ast.parse(f.read_text(encoding="utf-8")))]
    assert calls or folder == "methods"
    assert [(f, c.lineno) for f, c in calls if "encoding" not in {k.arg for k in c.keywords}] == []
