"""The command line of every command: overrides in, settings or experiments out, errors as sentences with exit code 2.

Every command takes `key=value` overrides in Hydra's syntax and refuses what it does not know with a suggestion. `-m`
sweeps over comma-separated values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from benchmark import surroundings
from benchmark.config import searchpath
from benchmark.config.compose import compose, flat_settings, group_options, sweep
from benchmark.config.experiment import Experiment
from benchmark.config.overrides import look, read
from benchmark.config.validation import experiment, validate
from benchmark.errors import ConfigError
from benchmark.files import no_room
from benchmark.wording import printable

S = TypeVar("S", bound=BaseModel)


def experiments(run: Callable[[list[Experiment]], int], usage: str, argv: list[str] | None = None) -> int:
    """Compose one Experiment per point of the sweep (one without `-m`), validate all, then run them together."""
    return _guard(lambda: _experiments(run, usage, sys.argv[1:] if argv is None else argv))


def settings(run: Callable[[S], int | None], schema: type[S], usage: str, argv: list[str] | None = None) -> int:
    """A command whose configuration is one flat pydantic model: its defaults, changed by `key=value` overrides."""

    def body() -> int:
        overrides = sys.argv[1:] if argv is None else argv
        if set(overrides) & {"-h", "--help"}:
            print(_describe(schema, usage))
            return 0
        return run(validate(schema, flat_settings([_with_new_name(o, schema) for o in overrides], schema))) or 0

    return _guard(body)


def searching(
    run: Callable[[S, list[str]], int | None], schema: type[S], usage: str, argv: list[str] | None = None
) -> int:
    """A command with flat settings that chooses methods from conf/, too.

    It also gets what belongs to that choice, for `compose`: the search path, and overrides of single methods, as
    '+method.mine._target_=…' and method.knn.k=3.
    """

    def body() -> int:
        given = read(sys.argv[1:] if argv is None else argv, several=False)
        if given.help:
            print(f"{_describe(schema, usage)}")
            return 0
        chosen = [o for o in given.overrides if _of_methods(o)]
        flat = flat_settings([o for o in given.overrides if o not in chosen], schema)
        return run(validate(schema, flat), chosen) or 0

    return _guard(body)


def _of_methods(override: str) -> bool:
    """Whether an override is about the search path, or about a single method."""
    key = override.lstrip("+~").partition("=")[0]
    return key == searchpath.KEY or key.startswith("method.")


def mixed(run: Callable[[S, list[str]], int | None], schema: type[S], usage: str, argv: list[str] | None = None) -> int:
    """A command with flat settings of its own; its other overrides are the experiment's, for `compose`."""

    def body() -> int:
        given = read(sys.argv[1:] if argv is None else argv, several=False)
        if given.help:
            print(f"{_describe(schema, usage)}\n\n{group_options(given.overrides)}")
            return 0
        overrides = [_with_new_name(o, schema) for o in given.overrides]
        own = [o for o in overrides if _field(o) in schema.model_fields]
        rest = [o for o in overrides if o not in own]
        look(rest, schema.model_fields)
        return run(validate(schema, flat_settings([_verbatim(o, schema) for o in own], schema)), rest) or 0

    return _guard(body)


def _with_new_name(override: str, schema: type[BaseModel]) -> str:
    """An override with the name that its option has now, said on standard error where it was given an earlier one."""
    renamed: Mapping[str, str] = getattr(schema, "earlier_names", {})
    key, equals, value = override.partition("=")
    if key not in renamed:
        return override
    print(f"note: {key}= is called {renamed[key]}= now; the earlier name is still taken.", file=sys.stderr)
    return f"{renamed[key]}{equals}{value}"


def _field(override: str) -> str:
    """The field that an override sets, itself or within it: split of split.train=a."""
    return override.partition("=")[0].partition(".")[0]


def _verbatim(override: str, schema: type[BaseModel]) -> str:
    """A path as it stands: Hydra's grammar would want quotes around spaces and brackets."""
    key, _, value = override.partition("=")
    if schema.model_fields[_field(override)].annotation is not Path or value[:1] in ("'", '"'):
        return override
    return f"{key}='{value}'" if "'" not in value else f'{key}="{value}"'


def _guard(body: Callable[[], int]) -> int:
    surroundings.prepare()
    try:
        code = body()
        sys.stdout.flush()
        return code
    except ConfigError as error:
        for line in str(error).splitlines():
            print(f"error: {printable(line)}", file=sys.stderr)  # it may quote what others wrote
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `… | head`
            sys.stderr.close()
            return 0
        if not (full := no_room(error)):
            raise
        print(f"error: {full}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing that was finished is lost; the same command goes on from there.", file=sys.stderr)
        return 130


def _experiments(run: Callable[[list[Experiment]], int], usage: str, argv: list[str]) -> int:
    given = read(argv)
    if given.help:
        print(usage + "\n" + group_options(given.overrides))
        return 0
    look(given.overrides)
    points = sweep(given.overrides) if given.sweep else [given.overrides]
    composed = [compose(point) for point in points]
    if given.show:
        from omegaconf import OmegaConf

        print("\n".join(OmegaConf.to_yaml(c) for c in composed))
        return 0
    return run([experiment(c) for c in composed])


def _describe(schema: type[BaseModel], usage: str) -> str:
    lines = [usage, ""]
    for name, field in schema.model_fields.items():
        default = "required" if field.is_required() else f"default {field.default}"
        lines.append(f"  {name:<16}{field.description or ''} ({default})")
    return "\n".join(lines)
