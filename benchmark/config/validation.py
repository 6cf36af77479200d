"""From a composed tree of plain data to an `Experiment`: every complaint at once, in the project's words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from benchmark.config.experiment import Experiment
from benchmark.config.functions import ANY, ARRAYS, BANK, adapter, resolve
from benchmark.config.spec import all_finite
from benchmark.errors import ConfigError, did_you_mean

DATA, METHOD = ("name", "_target_", "task", "family", "size", "images"), ("name", "_target_", "timeout")
"""The keys of an entry that are the harness's; all others are its function's parameters."""
S = TypeVar("S", bound=BaseModel)
Entry = Mapping[str, Any]
"""One entry of a group as YAML holds it: nothing is known yet of its values."""


def check_parameters(
    function: Callable[..., object], given: Mapping[str, object], where: str, supplied: Iterable[str] = ()
) -> list[str]:
    """Complaints about parameters that do not fit a function's signature: unknown, missing, or of another type."""
    signature = inspect.signature(function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.values())
    own = {n: p for n, p in signature.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    allowed = set(own) - set(supplied)
    problems = []
    for name in given:
        if name not in own and not open_ended:
            problems.append(f"{where}.{name} must be a parameter of {function.__name__}. {did_you_mean(name, allowed)}")
        elif not all_finite(given[name]):
            problems.append(f"{where}.{name} must be finite. Got {given[name]!r}. Leave it out for its default.")
        elif name in set(supplied) - {"seed", "n_classes"} and given[name] is not None:  # null: do without an array
            problems.append(f"{where}.{name} must be left out: the runner supplies it. Got {given[name]!r}.")
    for name, parameter in own.items():
        if parameter.default is parameter.empty and name not in given and name not in set(supplied):
            problems.append(f"{where}.{name} must be given: {function.__name__} needs it.")
    problems += _mixed([n for n in own if n in set(supplied) and n not in given], where)
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):  # annotations that only a type checker can read
        return problems
    typed: dict[str, Any] = {n: (hints[n], ...) for n in given if n in hints and n in allowed and all_finite(given[n])}
    try:
        create_model("Parameters", __config__=ConfigDict(arbitrary_types_allowed=True), **typed)(
            **{n: given[n] for n in typed}
        )
    except ValidationError as error:
        problems += explain(error, where)
    except Exception:  # an annotation that pydantic has no schema for: the function itself will judge
        pass
    return problems


def _mixed(needs: Sequence[str], where: str) -> list[str]:
    """A complaint about a method that takes what is one model's beside what is the whole bank's."""
    bank, one = ([n for n in needs if (n in BANK) == whole and n not in ANY] for whole in (True, False))
    if not bank or not one:
        return []
    return [
        f"{where} must take what is one model's or what is the whole bank's. Got {', '.join(one)} and "
        f"{', '.join(bank)}. A method of the whole bank takes {', '.join(sorted(BANK | ANY))}."
    ]


_MUST = {  # where pydantic's words are about Python
    "int_parsing_size": "a whole number of a sensible size",
    "path_type": "a path",
    "dict_type": "a mapping with its settings",
    "model_type": "a mapping with its settings",
}


def explain(error: ValidationError, prefix: str = "", known: Mapping[str, Iterable[str]] | None = None) -> list[str]:
    """Pydantic's complaints as sentences of one form."""
    sentences = []
    for problem in error.errors():
        where = ".".join(str(p) for p in (prefix, *problem["loc"]) if p != "")
        if problem["type"] == "value_error":
            sentences.append(re.sub(r"^Value error, ", "", problem["msg"]))
        elif problem["type"] == "extra_forbidden":
            parent = ".".join(where.split(".")[:-1])
            options = (known or {}).get(parent, ())
            sentences.append(f"{where} must be a known key. {did_you_mean(where.split('.')[-1], options)}")
        elif problem["type"] == "missing":
            sentences.append(f"{where} must be given. Got nothing.")
        elif problem["type"] in _MUST:
            sentences.append(f"{where} must be {_MUST[problem['type']]}. Got {problem['input']!r}.")
        else:
            text = re.sub(r"^Input should be ", "", problem["msg"])
            must = f"be {text[0].lower() + text[1:]}"
            if found := re.match(r"\w+ should (have .*?)( after validation.*)?$", problem["msg"]):
                must = found[1]
            sentences.append(f"{where} must {must}. Got {problem['input']!r}.")
    return sentences


def _known_keys(data: object, schema: type[BaseModel], prefix: str = "") -> dict[str, list[str]]:
    """The options at each place of a specification, for did-you-mean."""
    known = {prefix: [f.alias or n for n, f in schema.model_fields.items()]}
    for name, field in schema.model_fields.items():
        value = data.get(name) if isinstance(data, Mapping) else None
        inner = [
            t
            for t in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if inspect.isclass(t) and issubclass(t, BaseModel)
        ]
        if not inner or not isinstance(value, Mapping):
            continue
        here = f"{prefix}.{name}".lstrip(".")
        if str(field.annotation).startswith("dict["):
            for key, entry in value.items():
                known |= _known_keys(entry, inner[0], f"{here}.{key}")
        else:
            known |= _known_keys(value, inner[0], here)
    return known


def validate(schema: type[S], data: Mapping[str, object]) -> S:
    """Plain data as a frozen specification, or one ConfigError with every complaint."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        sentences = explain(error, known=_known_keys(data, schema))
        raise ConfigError("\n".join(sentences)) from None


def _named(group: Mapping[str, object] | None, where: str, problems: list[str]) -> dict[str, Entry]:
    """{name: entry} with each entry's name inside; entries that are no mapping become problems."""
    named: dict[str, Entry] = {}
    for name, entry in (group or {}).items():
        if isinstance(entry, Mapping):
            named[name] = {**entry, "name": name}
            if entry.get("name", name) != name:
                problems.append(
                    f"{where}.{name}.name must be left out: an entry is named by its key. Got '{entry['name']}'. "
                    "Rename the key, or the parameter that is meant."
                )
        else:
            problems.append(f"{where}.{name} must be a mapping with its settings. Got {entry!r}.")
    return named


def parameterised(entries: Mapping[str, Entry], own: tuple[str, ...]) -> dict[str, Entry]:
    """The entries with their free keys under `parameters`."""
    return {
        name: {k: v for k, v in e.items() if k in own} | {"parameters": {k: v for k, v in e.items() if k not in own}}
        for name, e in entries.items()
    }


def _included(bank: dict[str, Entry], names: object, problems: list[str]) -> dict[str, Entry]:
    """The entries that are named, in the order of the bank; all of them where none is."""
    if not names or not isinstance(names, list | tuple):
        return bank
    problems += [
        f"include_models must name models of the bank. Got '{name}'. {did_you_mean(name, bank)}"
        for name in names
        if name not in bank
    ]
    return {name: entry for name, entry in bank.items() if name in names} or bank


def _capped(bank: dict[str, Entry], cap: object) -> dict[str, Entry]:
    """The entries of a bank with input sizes, and with them multiply-adds, of at most `cap` pixels."""
    capped = {}
    for name, entry in bank.items():
        size = entry.get("input_size")
        if isinstance(cap, int) and isinstance(size, int) and 0 < cap < size:
            gmacs = entry.get("gmacs")
            smaller = {"gmacs": gmacs * (cap / size) ** 2} if isinstance(gmacs, int | float) else {}
            entry = {**entry, "input_size": cap, **smaller}
        capped[name] = entry
    return capped


def experiment(composed: Mapping[str, Any]) -> Experiment:
    """A composed configuration as a validated Experiment; raises ConfigError with every complaint at once."""
    data, problems = dict(composed), list[str]()
    named = _included(_named(data.get("bank"), "bank", problems), data.get("include_models"), problems)
    data["bank"] = _capped(named, data.get("input_cap"))
    for group, own in (("target", DATA), ("source", DATA), ("method", METHOD)):
        data[group] = parameterised(_named(data.get(group), group, problems), own)
    if isinstance(data.get("reference"), Mapping):  # null undoes what another file gave
        data["reference"] = {"name": "reference"} | {k: v for k, v in data["reference"].items() if v is not None}
    try:
        spec = validate(Experiment, data)
    except ConfigError as error:
        problems += str(error).splitlines()
    for group in ("target", "source", "method"):
        for name, entry in data[group].items():
            problems += _function_problems(entry, f"{group}.{name}", is_method=group == "method")
    if problems:
        raise ConfigError("\n".join(problems))
    return spec


def _function_problems(entry: Entry, where: str, is_method: bool) -> list[str]:
    """Complaints about the function that an entry names, and about the parameters that it gives it."""
    if not isinstance(entry.get("_target_"), str):  # the specification complains
        return []
    find, supplied = (resolve, ARRAYS) if is_method else (adapter, ())
    try:
        function = find(entry["_target_"], f"{where}._target_")
    except ConfigError as error:
        return [str(error)]
    return check_parameters(function, entry["parameters"], where, supplied)
