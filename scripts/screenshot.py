"""A picture of an HTML report in headless Chromium: python scripts/screenshot.py page=<html> out=<png>

Chromium is Debian's package of that name (or Google's browser); no network is used. Exit code 1 where the page logs an
error or does not come up.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import Field

from benchmark.config import cli
from benchmark.config.spec import Spec
from benchmark.errors import ConfigError

NAMES = ("chromium", "chromium-browser", "google-chrome")


class Settings(Spec):
    page: Path = Field(description="the HTML file")
    out: Path = Field(description="the PNG file to write")
    width: int = Field(1280, ge=200, description="of the window, in pixels")
    height: int = Field(1500, ge=200, description="of the window, in pixels: what is below is left out")
    dark: bool = Field(False, description="as in a browser that asks for dark pages")


def take(settings: Settings) -> int:
    """Write the picture; returns the exit code."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        raise ConfigError(f"Chromium must be installed. Got none of {', '.join(NAMES)}. apt-get install chromium.")
    if not settings.page.is_file():
        raise ConfigError(f"page must be an HTML file. Got {settings.page}: nothing there.")
    settings.out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync"]
        flags += ["--disable-quic", "--disable-background-networking", "--disable-component-update"]
        flags += [f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=10000"]
        flags += [f"--window-size={settings.width},{settings.height}", f"--screenshot={settings.out.resolve()}"]
        flags += ["--blink-settings=preferredColorScheme=0"] if settings.dark else []
        call = [browser, *flags, settings.page.resolve().as_uri()]
        done = subprocess.run(call, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    faults = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    for line in faults:
        print(line, file=sys.stderr)
    if not settings.out.is_file():
        print(f"error: {browser} wrote no picture (exit code {done.returncode})", file=sys.stderr)
        return 1
    print(f"{settings.out}: {settings.width} × {settings.height} pixels")
    return int(bool(faults))


def main(argv: list[str] | None = None) -> int:
    return cli.settings(take, Settings, __doc__.strip(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
