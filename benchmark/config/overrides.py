"""The command line as it was typed: flags, and a first look at its keys, without loading Hydra.

Most typing errors are found here within a fraction of a second. What Hydra's own command line knows and this one does
not is refused with what to write instead.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, get_args, get_origin

from pydantic import BaseModel

from benchmark.config.experiment import Experiment
from benchmark.config.functions import DataSpec, MethodSpec
from benchmark.errors import ConfigError, did_you_mean

GROUPS = ("bank", "target", "method", "recipe", "executor", "experiment", "logger")
FLAGS = ("-h", "--help", "-m", "--multirun", "-c", "--cfg", "-cd", "--config-dir")
NEAREST = 3
INSTEAD = {  # what else Hydra's command line takes
    "--config-path": "--config-dir=<folder> adds a folder of your own configuration to the project's",
    "--config-name": "experiment=<name> chooses a whole configuration, also one of your own with --config-dir=<folder>",
    "--info": "--cfg prints the configuration, --help its options",
    "--resolve": "--cfg prints values resolved as it is",
    "--package": "--cfg prints the whole configuration",
    "--run": "without -m a command runs once",
    "--hydra-help": "--help says what can be configured",
    "--shell-completion": "--help names every option",
    "--experimental-rerun": "the same command again goes on from what is finished",
    "--version": "provenance.json beside the tables names the versions",
}
INSTEAD |= {"-cp": INSTEAD["--config-path"], "-cn": INSTEAD["--config-name"], "-i": INSTEAD["--info"]}
INSTEAD |= {"-p": INSTEAD["--package"], "-r": INSTEAD["--run"], "-sc": INSTEAD["--shell-completion"]}
HYDRAS = {  # parts of Hydra's own configuration
    "launcher": "executor.workers=<number> or executor=ray says where a sweep's work is done",
    "sweeper": "-m with <key>=<a>,<b> sweeps",
    "mode": "-m sweeps over values with commas",
    **dict.fromkeys(("run", "sweep", "output_subdir", "runtime"), "paths.out=<folder> says where results go"),
    **dict.fromkeys(("job_logging", "hydra_logging", "verbose"), "progress goes to stderr: 2> <file> keeps it"),
}


@dataclass(frozen=True)
class Line:
    """A command line taken apart: its overrides and its flags."""

    overrides: list[str]
    sweep: bool = False
    help: bool = False
    show: bool = False
    """Whether the configuration is printed and nothing done."""


def read(argv: Sequence[str], several: bool = True) -> Line:
    """Take a command line apart; `several` is whether the command can sweep and show. Raises ConfigError."""
    words, overrides, given, folders = list(argv), [], set(), []
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        if not word.startswith("-"):
            overrides.append(word)
        elif flag in ("-cd", "--config-dir"):
            if not equals and not words:
                raise ConfigError(f"{flag} must be followed by a folder. Got nothing. Write --config-dir=<folder>.")
            folders.append(value if equals else words.pop(0))
        elif flag in ("-c", "--cfg") and several:
            kind = value if equals else words.pop(0) if words[:1] and words[0] in ("job", "hydra", "all") else "job"
            if kind != "job":
                raise ConfigError(f"{flag} must be given alone or with 'job'. Got '{kind}'. Hydra's own part is fixed.")
            given.add("show")
        elif word in ("-m", "--multirun") and several:
            given.add("sweep")
        elif word in ("-h", "--help"):
            given.add("help")
        else:
            raise ConfigError(_strange(flag, several))
    if folders:
        overrides.append(f"hydra.searchpath={quoted_list(folders)}")
    return Line(overrides, "sweep" in given, "help" in given, "show" in given)


def _strange(flag: str, several: bool) -> str:
    """The sentence about a flag that the command does not have."""
    if flag in INSTEAD:
        return f"{flag} must be left out. Got '{flag}': {INSTEAD[flag]}."
    if flag in FLAGS and flag in ("-m", "--multirun", "-c", "--cfg"):
        if not several:
            return f"{flag} must be left out. Got '{flag}': this command takes one configuration, and runs it."
        return f"{flag} must be given without a value. Write {flag}."
    key = flag.lstrip("-").replace("-", "_")
    if known(key):
        return f"{flag} must be written as {key}=<value>, without dashes. Got '{flag}'."
    return f"{flag} must be a known flag. {did_you_mean(flag, FLAGS)}"


def quoted_list(words: Iterable[str]) -> str:
    """Words as a list in Hydra's grammar, whatever characters they hold."""
    quoted = (word.replace("'", "\\'") for word in words)
    return "[" + ",".join(f"'{word}'" for word in quoted) + "]"


def look(overrides: Iterable[str], more: Iterable[str] = ()) -> None:
    """ConfigError for keys that no configuration has, all of them at once; the rest is Hydra's to judge.

    more  keys that the command has beside the experiment's
    What is added with `+` is left to the specifications, which complain of everything together.
    """
    problems = []
    for override in overrides:
        plain = override.lstrip("+~")
        key = plain.partition("=")[0]
        if key == "hydra.searchpath":
            continue
        if re.match(r"hydra(?:[./@]|$)", key):
            problems.append(_of_hydra(key))
        elif plain == override and "=" in override and not re.search(r"[@/:\s]", key) and not known(key):
            problems.append(unknown(key, [*keys(), *more]))
    if problems:
        raise ConfigError("\n".join(problems))


def _of_hydra(key: str) -> str:
    part = re.split(r"[./@]", key)[1:2]
    instead = HYDRAS.get(part[0] if part else "", "of Hydra's own settings only hydra.searchpath is taken")
    return f"{key} must be left out. Got '{key}': {instead}."


def unknown(key: str, options: Iterable[str]) -> str:
    """The sentence about a key that there is not: the one that must be meant, or the nearest three."""
    options = sorted({_named(option, key) for option in options})
    if difflib.get_close_matches(key, options, n=1, cutoff=0.75):
        return f"{key} must be a known key. Got '{key}'. {did_you_mean(key, options)}"
    leaf = key.rpartition(".")[2]
    near = sorted(options, key=lambda o: (-_alike(leaf, o.rpartition(".")[2]) - 0.5 * _alike(key, o), o))[:NEAREST]
    return f"{key} must be a known key. Got '{key}'. The nearest: {', '.join(near)}; --cfg prints all."


def _named(option: str, key: str) -> str:
    """An option with the names that a key has where it has <name>."""
    names = key.split(".")
    parts = (n if o == "<name>" and n else o for o, n in zip_longest(option.split("."), names[: option.count(".")]))
    return ".".join(parts)


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def known(key: str) -> bool:
    """Whether a dotted key can exist in some configuration: entries and their parameters go by any name."""
    first, *rest = key.split(".")
    if first not in _top():
        return False
    kind: object = Experiment.model_fields[first].annotation if first in Experiment.model_fields else None
    while rest and kind is not object:  # whose keys may be any
        schema, mapped = _inside(kind)
        if mapped is not None:
            if rest[0] not in (_named_ones(kind) or rest):
                return False
            kind = mapped
        elif schema in (DataSpec, MethodSpec):
            return True
        elif schema is None or rest[0] not in schema.model_fields:
            return False
        else:
            kind = schema.model_fields[rest[0]].annotation
        rest = rest[1:]
    return True


def keys() -> list[str]:
    """All keys of a configuration, with <name> where an entry's own stands."""
    return sorted({*_top(), *_below(Experiment, "")})


def _top() -> set[str]:
    return {*GROUPS, *Experiment.model_fields}


def _below(schema: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in schema.model_fields.items():
        inner, mapped = _inside(field.annotation)
        here = f"{prefix}{field.alias or name}"
        yield here
        names = [here]
        if mapped is not None and (inner := _inside(mapped)[0]):
            names = [f"{here}.{name}" for name in _named_ones(field.annotation) or ("<name>",)]
        if inner:
            for here in names:
                yield from _below(inner, f"{here}.")


def _named_ones(kind: object) -> tuple[str, ...]:
    """The keys that a mapping can have, where the annotation says."""
    names = get_args(kind)[0] if get_origin(kind) is dict else None
    return get_args(names) if get_origin(names) is Literal else ()


def _inside(kind: object) -> tuple[type[BaseModel] | None, object]:
    """The specification that an annotation names, and what its mappings hold, where it is a mapping."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, None
    if get_origin(kind) is dict:
        return None, get_args(kind)[1]
    parts = [_inside(part) for part in get_args(kind)]
    return next((p for p in parts if p != (None, None)), (None, None))
