"""A folder of one's own configuration beside the project's: bank/mine.yaml, target/mine.yaml, experiment/mine.yaml …

`--config-dir=<folder>`, or Hydra's `hydra.searchpath=[file://<folder>]`. Hydra passes over a folder that is not there
and over a file whose name the project has too; here both are errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.config.overrides import GROUPS, quoted_list
from benchmark.errors import ConfigError, did_you_mean

KEY, FILE = "hydra.searchpath", "file://"


def split(overrides: Iterable[str]) -> tuple[list[str], list[str]]:
    """The overrides without the search path, and the places on it, each once; a relative folder is the caller's.

    Raises ConfigError for a search path that is no list.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import QuotedString
    from hydra.errors import HydraException

    rest, places = [], []
    for override in overrides:
        if override.lstrip("+").partition("=")[0] != KEY:
            rest.append(override)
            continue
        try:
            value = OverridesParser.create().parse_override(override).value()
        except HydraException:
            raise ConfigError(f"{KEY} must be a list of folders. Got '{override}'. Write {KEY}=[<folder>].") from None
        value = value if isinstance(value, list) else [value]
        given = [place.text if isinstance(place, QuotedString) else str(place) for place in value]
        places += [p if _elsewhere(p) else FILE + str(Path(p.removeprefix(FILE)).absolute()) for p in given]
    return rest, list(dict.fromkeys(places))


def _elsewhere(place: str) -> bool:
    """Whether a place is no folder but, for instance, pkg://<package>."""
    return "://" in place.removeprefix(FILE)


def folders(places: Iterable[str]) -> list[Path]:
    """The folders among the places."""
    return [Path(place.removeprefix(FILE)) for place in places if not _elsewhere(place)]


def override(places: Sequence[str]) -> list[str]:
    """The places as Hydra takes them."""
    return [f"{KEY}={quoted_list(places)}"] if places else []


def check(own: Sequence[Path], conf: Path) -> None:
    """ConfigError for a folder that is not there, holds no group, or has a file that another would hide."""
    seen = {path.relative_to(conf): conf for path in conf.rglob("*.yaml")}
    for folder in own:
        if not folder.is_dir():
            raise ConfigError(f"{KEY} must name folders. Got {folder}: nothing there.")
        groups = [name for name in GROUPS if (folder / name).is_dir()]
        if not groups:
            inside = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
            raise ConfigError(
                f"{KEY} must name folders that hold groups: {', '.join(GROUPS)}. Got {folder} with {inside} in it. "
                "Put your files into <folder>/bank/<name>.yaml and the like."
            )
        for path in sorted(p.relative_to(folder) for name in groups for p in (folder / name).rglob("*.yaml")):
            if path in seen:
                raise ConfigError(
                    f"{folder / path} must have a name of its own. Got one that {seen[path]} has too. Rename the file."
                )
            seen[path] = folder


def options(group: str, places: Iterable[Path]) -> list[str]:
    """What can be chosen of a group."""
    return sorted({p.stem for place in places for p in (place / group).glob("*.yaml")})


def misplaced(option: str, group: str, own: Iterable[Path]) -> str:
    """A sentence for an option that is there with another suffix, empty where there is none."""
    for folder in own:
        for suffix in (".yml", ".json"):
            if (folder / group / f"{option}{suffix}").is_file():
                return f"Call {folder / group / option}{suffix} {option}.yaml."
    return ""


def meant(option: str, group: str, places: Sequence[Path]) -> str:
    """The closing sentence about an option that there is not."""
    return misplaced(option, group, places) or did_you_mean(option, options(group, places))
