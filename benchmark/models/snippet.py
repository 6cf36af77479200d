"""How to load a model of a bank in a few lines of timm, without this project."""

from __future__ import annotations

from pathlib import Path

from benchmark.config.model import ModelSpec
from benchmark.models.loading import WEIGHTS
from benchmark.models.weights import weight_files


def lines(spec: ModelSpec, n_classes: int, weights: Path | None = None, source_classes: int | None = None) -> list[str]:
    """Python lines that leave the pretrained network with a fresh head of `n_classes` in `model`.

    weights         folder of the weights that the harness trained, None for weights from elsewhere
    source_classes  of the head that the stored weights have, None where they have none
    """

    kind, _, what = spec.weights.partition(":")
    classes = source_classes or n_classes
    again = [] if classes == n_classes else [f"model.reset_classifier({n_classes})"]
    if spec.arch.startswith("torchvision.") or spec.own_network:
        return _with_this_project(spec, n_classes)
    if kind in ("timm", "hf-hub", "local-dir"):
        options: dict[str, object] = {"pretrained": True, "num_classes": n_classes, **spec.args, **_channels(spec)}
        return _shaped(spec, _call("timm.create_model", what if kind == "timm" else spec.weights, options))
    made = _shaped(spec, _built(spec, classes))
    if kind == "random":
        return [*made, *again]
    if kind == "pretrain":
        trained = str(_near(Path(weights or "") / WEIGHTS))
        return [*made, f"timm.models.load_checkpoint(model, {trained!r})", *again]
    if kind == "package":  # the same tensors in the same order, under another library's names
        (file,) = weight_files(spec)
        return [
            *made,
            "from importlib.metadata import files",
            f"(file,) = [f for f in files({what!r}) if f.name == {file.name!r}]",
            "state = torch.load(file.locate(), map_location='cpu', weights_only=True)",
            "model.load_state_dict(dict(zip(model.state_dict(), state.values())))",
            *again,
        ]
    return _with_this_project(spec, n_classes)


def _with_this_project(spec: ModelSpec, n_classes: int) -> list[str]:
    """Weights in a form that timm does not read."""
    given = spec.model_dump(mode="json", exclude_defaults=True, exclude={"pretrain"})
    return [
        "from benchmark.config.model import ModelSpec",
        "from benchmark.models.loading import load",
        f"spec = ModelSpec({', '.join(f'{k}={v!r}' for k, v in given.items())})",
        f"model, _ = load(spec, None, n_classes={n_classes})",
    ]


def _built(spec: ModelSpec, classes: int) -> str:
    options: dict[str, object] = {"num_classes": classes, **spec.args, **_channels(spec)}
    if "." in spec.arch:  # a class in timm
        return _call(spec.arch, None, options)
    return _call("timm.create_model", spec.arch, options)


def _channels(spec: ModelSpec) -> dict[str, int]:
    return {} if spec.in_chans == 3 else {"in_chans": spec.in_chans}


def _call(function: str, first: str | None, options: dict[str, object]) -> str:
    given = [] if first is None else [repr(first)]
    return f"{function}({', '.join([*given, *(f'{k}={_literal(v)}' for k, v in options.items())])})"


def _literal(value: object) -> str:
    """Lists as tuples at any depth, as timm wants them."""
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
    return repr(value)


def _shaped(spec: ModelSpec, call: str) -> list[str]:
    """The import, the model, and the edits of its specification."""
    torch_too = "identity" in spec.edits.values() or spec.weights.startswith("package:")
    made = [f"import {'timm, torch' if torch_too else 'timm'}", f"model = {call}"]
    for path, value in spec.edits.items():
        parent, _, name = path.rpartition(".")
        new = "torch.nn.Identity()" if value == "identity" else _literal(value)
        made.append(f"setattr(model.get_submodule({parent!r}), {name!r}, {new})")
    return made


def _near(path: Path) -> Path:
    """Relative to where the command was given, if it lies below."""
    resolved = path.resolve()
    return resolved.relative_to(Path.cwd()) if resolved.is_relative_to(Path.cwd()) else resolved
