"""Hydra: overrides and YAML files in, a tree of plain data out. No other module imports it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmark.config import searchpath as config_searchpath
from benchmark.config.functions import ARRAYS, MethodSpec
from benchmark.config.overrides import GROUPS, keys, known, unknown
from benchmark.config.searchpath import check, folders, meant, split
from benchmark.config.validation import METHOD, check_parameters, parameterised, validate
from benchmark.errors import ConfigError, did_you_mean
from benchmark.places import shipped
from benchmark.wording import said

CONF = shipped("conf")
Tree = dict[str, Any]
"""Plain data as YAML holds it: nothing is known yet of its values."""


def compose(overrides: list[str]) -> Tree:
    """The configuration that Hydra makes of conf/ and the overrides, as plain data."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if not (CONF / "config.yaml").is_file():
        raise ConfigError(
            f"The configuration must come with the project. Got no config.yaml in {CONF}. Install the project again, "
            "or run it from a checkout."
        )
    OmegaConf.register_new_resolver("shipped", lambda path: str(shipped(path)), replace=True)
    rest, places = split(overrides)
    check(folders(places), CONF)
    overrides = [*rest, *config_searchpath.override(places)]
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            composed = hydra_compose("config", overrides)
            _refuse_double_entries(overrides)
            return _tree(OmegaConf.to_container(composed, resolve=True, throw_on_missing=True), "config")
    except YAMLError as error:
        raise ConfigError(f"A configuration file must be YAML. Got {said(error)}.") from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # of a group's null Hydra says ValueError
        raise ConfigError(_explain(error, overrides)) from None


def _tree(container: object, file: str) -> Tree:
    """What OmegaConf made of a file, which must be a mapping."""
    if not isinstance(container, dict):
        raise ConfigError(f"{file}.yaml must be a mapping of names to settings. Got a list.")
    return {str(name): entry for name, entry in container.items()}


def sweep(overrides: list[str]) -> list[list[str]]:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise ConfigError(_explain(error, overrides)) from None
    return [list(point) for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None) for point in batch]


def _refuse_double_entries(overrides: list[str]) -> None:
    """Refuse a name that two files of a group define differently: a merge would mix them in silence."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.defaults_list import create_defaults_list
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    loader = GlobalHydra.instance().config_loader()
    assert isinstance(loader, ConfigLoaderImpl)  # the one that Hydra has
    parsed, repository = loader._parse_overrides_and_create_caching_repo("config", overrides)  # with hydra.searchpath
    chosen = create_defaults_list(repository, "config", parsed, prepend_hydra=True, skip_missing=False)
    seen: dict[tuple[str, str], tuple[str, object]] = {}
    for default in chosen.defaults:
        file = default.config_path or ""
        group = file.split("/")[0]
        if group not in ("bank", "target", "method"):
            continue
        loaded = repository.load_config(file)
        entries = _tree(OmegaConf.to_container(loaded.config), file) if loaded is not None else {}
        for name, entry in entries.items():
            first, known = seen.setdefault((default.package or group, name), (file, entry))
            if known != entry:
                raise ConfigError(
                    f"{group}.{name} must mean one thing. Got different entries from '{first}' and "
                    f"'{file}'. Rename one of them."
                )


def _places(overrides: list[str]) -> list[Path]:
    """The project's configuration, and the folders that overrides add to it."""
    return [CONF, *folders(split(overrides)[1])]


def group_options(overrides: list[str]) -> str:
    places = _places(overrides)
    check(places[1:], CONF)
    options = {group: config_searchpath.options(group, places) for group in GROUPS}
    return "Groups (group=option):\n" + "\n".join(f"  {g:<11}{', '.join(o)}" for g, o in options.items() if o)


def _explain(error: Exception, overrides: list[str]) -> str:
    """Hydra's complaint as a sentence of the house's form."""
    text = str(error)
    if override := getattr(error, "override", None):
        return f"{override} must be <key>=<value>. Write a list as [a,b], and text with special characters in quotes."
    if found := re.search(r"Could not (?:find|load) '(?P<group>[\w/]+)/(?P<option>[^']*)'", text):
        group, option = found["group"], found["option"]
        return f"{group} must be one of its options. Got '{option}'. {meant(option, group, _places(overrides))}"
    if found := re.search(r"Could not override '(?P<key>[^']+)'", text):
        return _unknown(found["key"], overrides)
    if found := re.search(r"Could not delete from config\. '(?P<key>[^']+)'", text):
        key = found["key"]
        return f"~{key} must name a key of the configuration. {did_you_mean(key, known_keys(compose([])))}"
    if "Config group override must be" in text:
        null = next((o for o in overrides if o.partition("=")[2] == "null"), "null")
        return f"{null} must name an option, or several as [a,b]. Got null."
    if "Missing mandatory value" in text:
        key = getattr(error, "full_key", None) or text.split()[-1]
        return f"{key} must be given. Got nothing. Add {key}=<value>."
    if found := re.search(r"Ambiguous value for argument '(?P<given>[^']+)'", text):
        return f"{found['given']} must be one value. Got several. Write a list as [a,b], or add -m to sweep over them."
    if found := re.search(r"Could not append to config\. An item is already at '(?P<key>[^']+)'", text):
        return f"{found['key']} is in the configuration already. Drop the '+'."
    if found := re.search(r"In '(?P<file>[^']+)'.*Cannot merge DictConfig with ListConfig", text, re.DOTALL):
        return f"{found['file']}.yaml must be a mapping of names to settings. Got a list."
    return " ".join(text.split())


def _unknown(key: str, overrides: list[str]) -> str:
    """The sentence about a key that Hydra did not find in what it composed."""
    if key in GROUPS:
        return f"{key} must be an option, or several as [a,b]. Add an entry of your own as '+{key}.<name>={{…}}'."
    others = [o for o in overrides if o.lstrip("+~").partition("=")[0] != key]
    try:
        composed = compose(others) if len(others) < len(overrides) else {}
    except ConfigError:  # said after this one is mended
        composed = {}
    group, _, rest = key.partition(".")
    held, name = composed.get(group), rest.partition(".")[0]
    if group in ("bank", "target", "source", "method") and held and name not in held:
        return f"{group}.{name} must be among what is chosen. {did_you_mean(name, held)} Choose with {group}=<option>."
    if known(key) and composed and group not in ("target", "source", "method"):
        if held is None:
            return f"{key} must belong to what is switched on. Got {group}=null. Choose a {group} first."
        return f"{key} must be added where it is at its default. Write +{key}=<value>."
    return unknown(key, known_keys(composed) or keys())


def known_keys(tree: object, prefix: str = "") -> list[str]:
    keys = []
    for name, value in tree.items() if isinstance(tree, Mapping) else ():
        keys += [prefix + str(name), *known_keys(value, f"{prefix}{name}.")]
    return keys


def flat_settings(overrides: list[str], schema: type[BaseModel]) -> Tree:
    """`key=value` overrides of a flat command, in Hydra's grammar (lists, quotes, null)."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import QuotedString
    from hydra.errors import HydraException

    known = [*schema.model_fields, *_inner(schema)]

    def plain(v: object) -> object:
        if isinstance(v, list):
            return [plain(x) for x in v]
        if isinstance(v, dict):
            return {plain(k): plain(x) for k, x in v.items()}
        return v.text if isinstance(v, QuotedString) else v

    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise ConfigError(_explain(error, overrides)) from None
    values: Tree = {}
    for override in parsed:
        if override.key_or_group not in known:
            raise ConfigError(
                f"{override.key_or_group} must be a known key. {did_you_mean(override.key_or_group, known)}"
            )
        if override.is_sweep_override():
            raise ConfigError(f"{override.key_or_group} must be one value. Got several; write a list as [a,b].")
        outer, _, inner = override.key_or_group.partition(".")
        if inner:
            values.setdefault(outer, {})[inner] = plain(override.value())
        else:
            values[outer] = plain(override.value())
    return values


def _inner(schema: type[BaseModel]) -> list[str]:
    """`outer.inner` of the fields that are settings themselves."""
    models = {n: f.annotation for n, f in schema.model_fields.items() if isinstance(f.annotation, type)}
    return [f"{n}.{i}" for n, model in models.items() if issubclass(model, BaseModel) for i in model.model_fields]


def methods_named(names: Sequence[str], overrides: Sequence[str] = ()) -> list[MethodSpec]:
    """The methods of conf/method by name, `all` and the other lists among them, parameters checked.

    overrides  what adds folders of one's own configuration (`benchmark.config.searchpath`), and methods of one's own or
               parameters: +method.mine._target_=my_package.my_score, method.knn.k=3
    """
    entries = compose([*overrides, f"method=[{','.join(names)}]"]).get("method")
    problems, specs = [], []
    if not entries:
        raise ConfigError("method must name at least one. Got none. Write method=[parc], or '+method.mine._target_=…'.")
    if bare := [name for name, entry in entries.items() if not isinstance(entry, dict) or "_target_" not in entry]:
        raise ConfigError(f"method.{bare[0]}._target_ must be given. Got nothing. Write <module>.<function>.")
    for name, entry in parameterised(entries, METHOD).items():
        specs.append(validate(MethodSpec, {"name": name, **entry}))
        problems += check_parameters(specs[-1].function, entry["parameters"], f"method.{name}", ARRAYS)
    if problems:
        raise ConfigError("\n".join(problems))
    return specs
