"""Bad input: exit code 2, sentences that say what to change, and nothing computed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import run as running_module
from benchmark.config import cli, compose
from tests import running
from tests.running import ROOT, TINY

USAGE = "usage of the test"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """(exit code, lines of stderr, stdout) of the run command in an empty directory that must stay empty."""
    monkeypatch.chdir(tmp_path)

    def command(*argv: str, tiny: bool = True) -> tuple[int, list[str], str]:
        code = cli.experiments(running_module.run, USAGE, [*(TINY if tiny else ()), *argv])
        said = capsys.readouterr()
        assert [p.name for p in tmp_path.iterdir() if p.name not in ("conf", "given")] == []
        return code, said.err.splitlines(), said.out

    return command


MINE = "+method.mine._target_="
ONE = {  # a bad input -> the one complaint about it
    "probe.sise=3": "probe.sise must be a known key. Got 'probe.sise'. Did you mean 'probe.size'?",
    "+probe.sise=3": "probe.sise must be a known key. Did you mean 'size'?",
    "+prob=3": "prob must be a known key. Did you mean 'probe'?",
    "+bank.random.weight=x": "bank.random.weight must be a known key. Did you mean 'weights'?",
    "+recipe.optimisers.cnn.rate=1": "recipe.optimisers.cnn.rate must be a known key. Did you mean 'rates'?",
    "probe.size=ten": "probe.size must be a valid integer",
    "probe.size=1": "probe.size must be greater than or equal to 4. Got 1.",
    "executor.workers=-1": "executor.workers must be greater than or equal to 0. Got -1.",
    "reference.weights='file:w.pth'": "reference.weights must be random or pretrain:<any>:",
    "truth.mode=recomputed": "truth.mode must be 'stored' or 'recompute'. Got 'recomputed'.",
    "recipe.optimisers.cnn.rates=[0.1,-1]": "recipe.optimisers.cnn.rates.1 must be greater than 0. Got -1.",
    "recipe.optimisers.cnn.rates=[]": "recipe.optimisers.cnn.rates must have at least 1 item",
    "recipe.validation=1.0": "recipe.validation must be less than 1. Got 1.0.",
    "method=prac": "method must be one of its options. Got 'prac'. Did you mean 'parc'?",
    "bank=divers": "bank must be one of its options. Got 'divers'. Did you mean 'diverse'?",
    "target=digit": "target must be one of its options. Got 'digit'. Did you mean 'digits'?",
    "recipe=fats": "recipe must be one of its options. Got 'fats'. Did you mean 'fast'?",
    "experiment=dmo": "experiment must be one of its options. Got 'dmo'. Did you mean 'demo'?",
    "logger=wandbb": "logger must be one of its options. Got 'wandbb'. Did you mean 'wandb'?",
    "method=": "method must be one of its options. Got ''. Options: all, cka",
    "method=null": "method=null must name an option, or several as [a,b]. Got null.",
    "bank={a: 1}": "bank must be an option, or several as [a,b]. Add an entry of your own as '+bank.<name>={…}'.",
    "~method.prac": "~method.prac must name a key of the configuration. Did you mean 'method.parc'?",
    "methods=parc": "methods must be a known key. Got 'methods'. Did you mean 'method'?",
    MINE + "no_such_package.f": "Got 'no_such_package.f': no module 'no_such_package'. Is it on PYTHONPATH?",
    MINE + "methods.prac": "method.mine._target_ must name a function of 'methods'. Got 'prac'. Did you mean 'parc'?",
    MINE + "methods.no.f": "method.mine._target_ must be importable. Got 'methods.no.f': no module 'methods.no'.",
    MINE + "parc": "method.mine._target_ must be a dotted path <module>.<function>. Got 'parc'.",
    "+method.mine.k=1": "method.mine._target_ must be given. Got nothing.",
    "+method.mine=3": "method.mine must be a mapping with its settings. Got 3.",
    "method.parc.n_dim=4": "method.parc.n_dim must be a known key. Got 'method.parc.n_dim'. Did you mean 'method.parc.",
    "+method.parc.n_dim=4": "method.parc.n_dim must be a parameter of parc. Did you mean 'n_dims'?",
    "method.parc.n_dims=many": "method.parc.n_dims must be",
    "+method.parc.features=4": "method.parc.features must be left out: the runner supplies it. Got 4.",
    "target=folder": "target.folder.path must be given. Got nothing. Add target.folder.path=<value>.",
    "+target.x={size: 8, task: t}": "target.x._target_ must be given. Got nothing.",
    "+target.x={size: 8, task: t, _target_: methods.parc}": "target.x._target_ must be a data set adapter",
    "+target.tiny.nois=1": "target.tiny.nois must be a parameter of digits. Did you mean 'noise'?",
    "target.tiny.train=some": "target.tiny.train must be a valid integer",
    "bank.random.weights=pretrained": "weights must be 'random' or <kind>:<what> with kind one of pretrain, package",
    "bank.trained.weights='pretrain:tiny_sorce'": "Got 'tiny_sorce'. Did you mean 'tiny_source'?",
    "exclude_models=[rondom]": "exclude_models must name models of the bank. Got 'rondom'. Did you mean 'random'?",
    "method=[]": "method must hold at least one entry. Got none.",
    "+probe.size=3": "probe.size is in the configuration already. Drop the '+'.",
    "--mutlirun": "--mutlirun must be a known flag. Did you mean '--multirun'?",
    "probe.size": "probe.size must be <key>=<value>.",
    "paths.released=results/released": "Got nothing at 'results/released'. Correct the path, leave it out",
    "paths.released=given": "must be a folder of released cells (weights/, truth.zip …). Got nothing at 'given'.",
    "method=[parc": "method=[parc must be <key>=<value>. Write a list as [a,b]",
    "method=parc,knn": "method=parc,knn must be one value. Got several. Write a list as [a,b], or add -m to sweep",
}


@pytest.mark.parametrize("bad", ONE)
def test_one_bad_input_is_one_sentence(call, bad):
    code, errors, out = call(bad)
    assert code == 2
    assert out == ""
    assert len(errors) == 1, errors
    assert errors[0].startswith("error: ")
    assert ONE[bad] in errors[0]


def test_a_reference_is_needed_where_a_method_asks_for_it(call):
    code, errors, _ = call("method=rsa", "reference=null")
    assert (code, errors) == (2, ["error: reference must be set for rsa. Got null. Name an architecture."])


def test_all_complaints_come_at_once(call):
    bad = ("probe.size=1", "executor.workers=-1", "+typo=1", "method.parc.n_dims=many", MINE + "no_such_package.f")
    code, errors, _ = call(*bad, "+target.tiny.nois=1", "+bank.random.weight=x", "bank.vit.layers=0")
    assert code == 2
    for thing in ("probe.size", "executor.workers", "typo", "method.parc.n_dims", "method.mine._target_"):
        assert sum(e.startswith(f"error: {thing} must be") for e in errors) == 1, thing
    for thing in ("target.tiny.nois", "bank.random.weight", "bank.vit.layers"):
        assert sum(e.startswith(f"error: {thing} must be") for e in errors) == 1, thing
    assert len(errors) == 8


def test_two_banks_must_not_mean_different_things_by_one_name(call, tmp_path):
    (tmp_path / "conf" / "bank").mkdir(parents=True)
    (tmp_path / "conf" / "bank" / "clash.yaml").write_text("vit:\n  arch: resnet18\n  weights: random\n  layers: 18\n")
    paths = f"hydra.searchpath=[file://{ROOT}/tests/conf,file://{tmp_path}/conf]"
    code, errors, _ = call(paths, "experiment=tiny", "bank=[tiny,clash]", tiny=False)
    assert code == 2
    assert errors == [
        "error: bank.vit must mean one thing. Got different entries from 'bank/tiny' and 'bank/clash'. "
        "Rename one of them."
    ]


SWEEPS = {
    ("method=parc,prac",): "method must be one of its options. Got 'prac'. Did you mean 'parc'?",
    ("probe.size=10,1",): "probe.size must be greater than or equal to 4. Got 1.",
    ("recipe.steps=4,5",): "recipe must be the same in all points of a sweep. Got several.",
    ("paths.cache=a,b",): "paths must be the same in all points of a sweep. Got several.",
    ("+bank.random.seed=0,1",): "bank.random must mean one thing in all points of a sweep. Got several.",
    ("target.tiny.train=50,60",): "target.tiny must mean one thing in all points of a sweep. Got several.",
    ("probe.sise=3,4",): "probe.sise must be a known key. Got 'probe.sise'. Did you mean 'probe.size'?",
}


@pytest.mark.parametrize("bad", SWEEPS, ids=" ".join)
def test_a_bad_point_stops_the_whole_sweep(call, bad):
    code, errors, _ = call("-m", *bad)
    assert code == 2
    assert len(errors) == 1, errors
    assert SWEEPS[bad] in errors[0]


def test_missing_data_is_an_error_before_anything_is_computed(call, tmp_path):
    code, errors, _ = call("target=folder", f"target.folder.path={tmp_path}/nowhere")
    assert code == 2
    assert len(errors) == 1
    assert f"{tmp_path}/nowhere" in errors[0]


def test_a_newer_store_is_an_error(call, tmp_path):
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "schema.json").write_text('{"schema": 99}')
    code, errors, _ = call(f"paths.cache={tmp_path}/given")
    assert code == 2
    assert errors[0].startswith("error: paths.cache must be of schema 1 or older.")


def test_a_damaged_schema_is_an_error_in_every_command(tmp_path, monkeypatch, capsys):
    from benchmark import store
    from scripts.results import import_results, release

    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "cells-1.zip").write_bytes(b"")
    (tmp_path / "released" / "weights").mkdir(parents=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "schema.json").write_text("")
    here, of_run = f"cache={tmp_path}/cache", [*TINY, f"paths.cache={tmp_path}/cache"]
    commands = [
        lambda: cli.experiments(running_module.run, USAGE, of_run),
        lambda: cli.settings(store.report, store.Settings, USAGE, [here, "released=null"]),
        lambda: release.main([*of_run, f"paths.released={tmp_path}/released"]),
        lambda: import_results.main([str(tmp_path), here]),
    ]
    for command in commands:
        assert command() == 2
        said = capsys.readouterr().err
        assert said.startswith(f'error: {tmp_path}/cache/schema.json must be {{"schema": <number>}}. Got a damaged')
        assert len(said.splitlines()) == 1


FULL = OSError(28, "No space left on device")


def test_a_full_disk_under_out_is_one_sentence(call, tmp_path, monkeypatch):
    """Nothing of what is new is left; what stood there before is as it was."""
    from benchmark import files

    monkeypatch.setattr(running_module, "_complete", lambda *a: (_ for _ in ()).throw(AssertionError("not reached")))
    code, errors, _ = call("paths.out=/proc/self/mem/out")
    assert (code, len(errors)) == (2, 1)
    assert errors[0].startswith("error: paths.out must lie in a folder. Got '/proc/self/mem/out' below the file")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "table.csv").write_text("old")

    def full(*given: object) -> int:
        with monkeypatch.context() as patched, files.together():
            (tmp_path / "given" / "out").mkdir()
            files.put(tmp_path / "given" / "out" / "truth.csv", "1")
            files.put(tmp_path / "given" / "table.csv", "new")
            patched.setattr(Path, "write_bytes", lambda *a: (_ for _ in ()).throw(FULL))
            files.put(tmp_path / "given" / "scores.csv", "1")
        return 0

    monkeypatch.setattr(running_module, "_complete", full)
    code, errors, _ = call()
    assert code == 2
    assert errors == [
        "error: files must have a place where they can be written. Got a full disk at "
        f"'{tmp_path}/given/out/truth.csv'. Make room, or give another folder."
    ]
    assert [p.name for p in (tmp_path / "given").iterdir()] == ["table.csv"]
    assert (tmp_path / "given" / "table.csv").read_text() == "old"


# what is not an error


def test_help_names_every_option(call):
    for flag in ("--help", "-h"):
        code, errors, out = call(flag, tiny=False)
        assert (code, errors) == (0, [])
        assert out.startswith(USAGE)
        for group in ("bank", "target", "method", "recipe"):
            for path in (ROOT / "conf" / group).glob("*.yaml"):
                assert path.stem in out


def test_cfg_prints_the_configuration_and_does_nothing(call):
    from omegaconf import OmegaConf

    code, errors, out = call("--cfg", "probe.size=33")
    assert (code, errors) == (0, [])
    shown = OmegaConf.create(out)
    assert (shown.probe.size, shown.recipe.steps, shown.bank.vit.layers) == (33, 4, 6)


def test_dry_run_counts_and_does_nothing(call):
    code, errors, out = call("dry_run=true")
    assert (code, errors) == (0, [])
    counts = {line.split()[0]: tuple(line.split()[1:3]) for line in out.splitlines()[1:7]}
    assert counts == {
        "pack": ("2", "0"),
        "weights": ("1", "0"),
        "tune": ("3", "0"),
        "truth": ("3", "0"),
        "probe": ("3", "0"),
        "score": ("6", "0"),
    }
    assert "18 cells to do" in out


def test_variants_and_strangers_parameters_are_accepted(call):
    variant = "+method.parc_f4={_target_: methods.parc, n_dims: 4}"
    code, errors, out = call("dry_run=true", "+method.mine._target_=statistics.fmean")
    assert (code, errors) == (2, ["error: method.mine.data must be given: fmean needs it."])
    code, errors, out = call("dry_run=true", variant, "method.knn.k=3")
    assert (code, errors) == (0, [])
    assert "21 cells to do" in out


def test_the_command_itself(tmp_path):
    """As a person calls it: no traceback, no stray file, exit codes as documented."""
    bad = running.run(tmp_path, "probe.sise=3")
    assert bad.returncode == 2
    assert bad.stderr == "error: probe.sise must be a known key. Got 'probe.sise'. Did you mean 'probe.size'?\n"
    sweep = running.run(tmp_path, "-m", "dry_run=true", "method=parc,knn", "probe.size=10,20,30")
    assert sweep.returncode == 0, sweep.stderr
    assert "score           18" in sweep.stdout
    assert list((tmp_path / "work").iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["work"]


def test_a_closed_pipe_is_no_error(tmp_path):
    shell = f"{sys.executable} -m benchmark.run --help | head -1; echo ${{PIPESTATUS[0]}}"
    said = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True)
    assert said.stderr == ""
    assert said.stdout.splitlines()[-1] == "0"


def test_no_stray_files_in_the_project():
    for name in ("multirun", ".hydra", "run.log"):
        assert not (ROOT / name).exists()
    assert Path(compose.CONF) == ROOT / "conf"


# what is Hydra's, and folders of one's own


INSTEAD = {
    "seed=1": "seed must be a known key. Got 'seed'. The nearest: reference.seed, bank.<name>.seed, recipe.seeds;",
    "debug=true": "debug must be a known key. Got 'debug'. The nearest:",
    "epochs=3": "epochs must be a known key. Got 'epochs'. The nearest: paths, report, recipe.steps;",
    "num_workers=2": "The nearest: executor.workers, include_models, executor.num_cpus; --cfg prints all.",
    "recipe.optimisers.cnn.rtes=[1]": "Did you mean 'recipe.optimisers.cnn.rates'?",
    "recipe.optimisers.cmm.rates=[1]": "Did you mean 'recipe.optimisers.cnn.rates'?",
    "recipe.mixup=0.1": "recipe.mixup must be added where it is at its default. Write +recipe.mixup=<value>.",
    "logger.project=x": "logger.project must belong to what is switched on. Got logger=null. Choose a logger first.",
    "method.knm.k=3": "method.knm must be among what is chosen. Did you mean 'knn'? Choose with method=<option>.",
    "hydra/launcher=joblib": "hydra/launcher must be left out. Got 'hydra/launcher': executor.workers=<number>",
    "hydra.sweeper.params={a: 1}": "hydra.sweeper.params must be left out. Got 'hydra.sweeper.params': -m with",
    "hydra.run.dir=x": "paths.out=<folder> says where results go.",
    "+hydra.verbose=true": "hydra.verbose must be left out.",
    "hydra.mode=MULTIRUN": "-m sweeps over values with commas.",
    "--info": "--cfg prints the configuration, --help its options.",
    "--resolve": "--cfg prints values resolved as it is.",
    "--config-path=x": "--config-dir=<folder> adds a folder of your own configuration",
    "--config-name=x": "experiment=<name> chooses a whole configuration",
    "-cn": "experiment=<name> chooses a whole configuration",
    "--multirun=true": "--multirun must be given without a value. Write --multirun.",
    "--cfg=hydra": "--cfg must be given alone or with 'job'. Got 'hydra'.",
    "--probe.size=3": "--probe.size must be written as probe.size=<value>, without dashes.",
    "--config-dir": "--config-dir must be followed by a folder.",
    "--config-dir=nowhere": "hydra.searchpath must name folders. Got ",
    "hydra.searchpath=[a": "hydra.searchpath must be a list of folders. Got 'hydra.searchpath=[a'. Write hydra.",
    f"--config-dir={ROOT / 'tests'}": "hydra.searchpath must name folders that hold groups: bank, target, method,",
    f"hydra.searchpath=[{ROOT / 'conf'}]": "must have a name of its own.",
    "method.parc.n_dims=nan": "method.parc.n_dims must be finite. Got nan.",
    "+method.parc.pca=[inf]": "method.parc.pca must be finite. Got [inf].",
    "truth.tolerance=inf": "truth.tolerance must be a finite number. Got inf.",
    "target.tiny.turn=nan": "target.tiny.turn must be finite. Got nan.",
    "+bank.vit.args={a: [nan]}": "bank.vit.args must hold finite numbers. Got {",
    MINE + "..": "method.mine._target_ must be a dotted path <module>.<function>. Got '..'.",
    MINE + ".os.system": "method.mine._target_ must be a dotted path <module>.<function>. Got '.os.system'.",
    MINE + "os..path": "method.mine._target_ must be a dotted path <module>.<function>. Got 'os..path'.",
    MINE + "builtins.max": "method.mine._target_ must be a function whose parameters can be read.",
    MINE + "tests.unwritten.f": "Got 'tests.unwritten.f': no module 'tests.unwritten'.",
}


@pytest.mark.parametrize("bad", INSTEAD)
def test_what_to_use_instead_is_one_short_sentence(call, bad):
    code, errors, out = call(bad)
    assert (code, len(errors), out) == (2, 1, ""), errors
    assert INSTEAD[bad] in errors[0]
    assert len(errors[0]) < 400


def test_all_unknown_keys_are_named_at_once(call):
    code, errors, _ = call("seed=1", "probe.sise=3", "hydra.run.dir=x")
    assert code == 2
    assert [e.split()[1] for e in errors] == ["seed", "probe.sise", "hydra.run.dir"]


@pytest.mark.parametrize(
    "body",
    [
        "def f(:\n",
        "raise SystemExit(3)\n",
        "from math import nothing_there\n",
        "1 / 0\n",
        "raise ValueError('\\x1b[2J')\n",
    ],
)
def test_a_module_that_cannot_be_imported_is_one_sentence(call, tmp_path, monkeypatch, body):
    (tmp_path / "given").mkdir()
    name = f"module_{sum(map(ord, body))}"
    (tmp_path / "given" / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path / "given"))
    code, errors, _ = call(f"{MINE}{name}.f")
    assert (code, len(errors)) == (2, 1)
    assert f"error: method.mine._target_ must be importable. Got '{name}.f', whose module stops with" in errors[0]
    assert errors[0].isprintable()


@pytest.fixture
def own(tmp_path):
    """A folder with a bank and a method of one's own, its path with a space."""
    folder = tmp_path / "given" / "my conf"
    (folder / "bank").mkdir(parents=True)
    (folder / "method").mkdir()
    (folder / "bank" / "mine.yaml").write_text("small:\n  arch: resnet18\n  weights: random\n  layers: 18\n")
    (folder / "method" / "parc_f4.yaml").write_text("parc_f4:\n  _target_: methods.parc\n  n_dims: 4\n")
    return folder


def test_a_folder_of_ones_own_adds_options(call, own):
    from omegaconf import OmegaConf

    given = ("bank=[tiny,mine]", "method=[parc,parc_f4]")
    relative = str(own.relative_to(Path.cwd()))
    for ways in (
        [f"--config-dir={own}"],
        ["-cd", relative],
        [f"hydra.searchpath=['file://{own}','{ROOT}/tests/conf']"],
    ):
        code, errors, out = call(*given, *ways, "--cfg", "job")
        assert (code, errors) == (0, [])
        shown = OmegaConf.create(out)
        assert (shown.bank.small.layers, shown.method.parc_f4.n_dims) == (18, 4)
    code, errors, out = call(f"--config-dir={own}", "--help", tiny=False)
    assert "mine, " in out and "parc_f4" in out  # noqa: PT018
    code, errors, _ = call("--config-dir=nowhere", "--help", tiny=False)
    assert (code, len(errors)) == (2, 1)
    code, errors, _ = call(f"--config-dir={own}", "bank=mime")
    assert errors == ["error: bank must be one of its options. Got 'mime'. Did you mean 'mine'?"]


def test_a_folder_of_ones_own_cannot_hide_or_be_hidden(call, own):
    (own / "method" / "parc.yaml").write_text("parc:\n  _target_: methods.knn\n")
    code, errors, _ = call(f"--config-dir={own}")
    assert (code, len(errors)) == (2, 1)
    assert "method/parc.yaml must have a name of its own." in errors[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\n", "A configuration file must be YAML. Got"),
        ("a: 1\na: 2\n", "found duplicate key a"),
        ("- 1\n", "bank/odd.yaml must be a mapping of names to settings. Got a list."),
        ("a: 3\n", "bank.a must be a mapping with its settings. Got 3."),
    ],
)
def test_a_file_of_ones_own_that_is_none_is_one_sentence(call, own, text, words):
    (own / "bank" / "odd.yaml").write_text(text)
    code, errors, _ = call(f"--config-dir={own}", "bank=[tiny,odd]")
    assert (code, len(errors)) == (2, 1), errors
    assert words in errors[0]


TYPOS = [  # of every command; none may wait for PyTorch
    *(("run", o) for o in ("methd=parc", "method=prac", "seed=1", "--info")),
    *(("run", "bank=demo", o) for o in ("+method.parc.n_dim=4", "bank.x.arch=y", "truth.mode=new")),
    *(("rank", *o) for o in (["dta=x"], ["data=nowhere", "bank=demo"], ["data=x", "bank=divers"])),
    *(("predict", *o) for o in (["modl=x", "a.png"], ["model=nowhere", "a.png"], ["model=x", "device=gpu"])),
    *(("evaluate", *o) for o in (["featurs=x"], ["features=a.npz", "truth=b.csv"])),
    ("evaluate", "features=a.npz", "truth=b.csv", "method=prac"),
    *(("correlate", *o) for o in (["score=x"], ["scores=a.csv", "truth=b.csv", "out=o"])),
    *(("report", o) for o in ("pth=x", "path=nowhere")),
    *(("check", o) for o in ("method.prac", "methods.prac", "prac")),
    *(("store", o) for o in ("prun=[x]", "prune=[x]")),
    *(("published", *o) for o in (["pth=x"], ["path=nowhere", "out=o"])),
    *(("paper", o) for o in ("pth=x", "path=nowhere")),
    *(("official", *o) for o in (["probe=x"], ["probes=nowhere", "oracle=x.csv"])),
]


def test_a_typo_is_refused_before_pytorch_is_imported(tmp_path):
    """Each in the one process: a finder refuses the slow packages, and so names the command that asks for one."""
    program = """
import importlib, io, json, sys
from contextlib import redirect_stderr
SLOW = ("torch", "timm", "torchvision", "sklearn", "matplotlib", "plotly", "ray", "wandb")
class Refuse:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in SLOW: raise AssertionError(f"{name} is imported")
sys.meta_path.insert(0, Refuse())
said = []
for command, *argv in json.loads(sys.argv[1]):
    module = importlib.import_module(f"benchmark.{command}")
    sys.argv = [command, *argv]
    with redirect_stderr(io.StringIO()) as errors:
        said.append((module.main(), errors.getvalue()))
print(json.dumps([said, [name for name in SLOW if name in sys.modules]]))
"""
    call = [sys.executable, "-c", program, json.dumps(TYPOS)]
    done = subprocess.run(call, cwd=tmp_path, env=running.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said, imported = json.loads(done.stdout)
    assert imported == []
    for typo, (code, errors) in zip(TYPOS, said, strict=True):
        assert code == 2, typo
        assert errors.startswith("error: "), typo
        assert len(errors) < 1200, typo


def test_an_unknown_key_waits_for_nothing_at_all(tmp_path):
    """`methd=parc` is refused with neither NumPy's tables nor Hydra loaded."""
    program = "import sys; from benchmark import run; sys.argv = ['run', 'methd=parc']; code = run.main(); "
    program += "print(code, [m for m in ('torch', 'pandas', 'scipy', 'hydra') if m in sys.modules])"
    call = [sys.executable, "-c", program]
    done = subprocess.run(call, cwd=tmp_path, env=running.environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout == "2 []\n"
