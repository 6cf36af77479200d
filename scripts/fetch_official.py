"""Get what the paper released: the two accuracy tables at the pinned commit, checksums verified, and the probe archive.

    python scripts/fetch_official.py out=outputs/official [tables=<folder with the two CSVs>] [probes=<zip or folder>]

The tables come from the release's repository unless `tables` names a folder that has them. The archive of probes lies
on a share that asks for a browser: download probes.zip from the link in the release's README and name it here; it is
unpacked (`.pkl` members only, nothing executed) so that `python -m benchmark.official` can read it.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import Field

from benchmark.config import cli
from benchmark.config.spec import Spec
from benchmark.errors import ConfigError
from benchmark.files import put
from benchmark.literature import sources

TABLES = {"parc_controlled": "controlled.csv", "parc_all": "all.csv"}
LARGEST = 20 << 30  # bytes of all probes together


class Settings(Spec):
    out: Path = Field(Path("outputs/official"), description="folder for controlled.csv, all.csv and probes/")
    tables: Path | None = Field(None, description="folder that has the two tables already, instead of a download")
    probes: Path | None = Field(None, description="the downloaded probe archive, or a folder of its .pkl files")


def table(stem: str, out: Path, local: Path | None) -> Path:
    """One accuracy table in `out` under its own name, with the known checksum."""
    name = TABLES[stem]
    out.mkdir(parents=True, exist_ok=True)
    if local is None:
        sources.fetch(stem, out).replace(out / name)
        return out / name
    here = next((p for p in (local / name, local / f"{stem}.csv") if p.is_file()), None)
    if here is None:
        raise ValueError(f"tables must be a folder with {name}. Got {local}.")
    content = here.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sources.SOURCES[stem].sha256:
        raise ValueError(f"{here} must have SHA-256 {sources.SOURCES[stem].sha256}. Got {found}.")
    put(out / name, content)
    return out / name


def unpack(source: Path, out: Path) -> int:
    """The .pkl files of an archive or a folder, flat in `out`; returns how many."""
    out.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        files = sorted(source.rglob("*.pkl"))
        for path in files:
            shutil.copyfile(path, out / path.name)
        return len(files)
    if not zipfile.is_zipfile(source):
        raise ValueError(f"probes must be the probe archive (a zip file) or a folder. Got {source}.")
    with zipfile.ZipFile(source) as archive:
        members = [m for m in archive.infolist() if m.filename.endswith(".pkl") and not m.is_dir()]
        if sum(m.file_size for m in members) > LARGEST:
            raise ValueError(f"probes must unpack to less than {LARGEST >> 30} GiB. Got more.")
        for member in members:  # a member's own folders are left out, so none can lead elsewhere
            with archive.open(member) as held, (out / PurePosixPath(member.filename).name).open("wb") as file:
                shutil.copyfileobj(held, file)
    return len(members)


def fetch(settings: Settings) -> int:
    try:
        for stem in TABLES:
            print(f"{table(stem, settings.out, settings.tables)}: checksum as expected")
        if settings.probes is not None:
            print(f"{unpack(settings.probes, settings.out / 'probes')} probes in {settings.out / 'probes'}")
        else:
            print("no probes: download the archive by hand (see --help) and give probes=<zip>")
    except (ValueError, OSError) as error:
        more = "" if settings.tables else " Without a network, give tables=<folder with controlled.csv and all.csv>."
        raise ConfigError(f"{error}{more}") from None
    return 0


def main(argv: list[str] | None = None) -> int:
    return cli.settings(fetch, Settings, __doc__.strip(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
