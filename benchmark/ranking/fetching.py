"""What a ranking would download, said before anything is fetched: how many models, how many MB, from where.

Whether there is a network is found out by one connection of a few seconds, not by the retries of a hub's client.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies

from benchmark.config.experiment import Experiment
from benchmark.config.model import ModelSpec
from benchmark.models.facts import measured_sizes
from benchmark.models.weights import WeightsUnavailable, weight_files

PLACES = {
    "timm": "https://huggingface.co",
    "hf-hub": "https://huggingface.co",
    "torchvision": "https://download.pytorch.org",
}
"""Where weights of each kind come from; HF_ENDPOINT names another place for the hub's."""

PATIENCE = 3.0
"""Seconds in which a server must answer."""

NOT_FETCHED = "its weights are not on this machine; fetch=true downloads them"

BYTES = 4
"""Of a parameter: weights are published in single precision."""


@dataclass(frozen=True)
class Download:
    """The models of a bank whose weights are not here, their size together, and the servers that have them."""

    models: tuple[ModelSpec, ...]
    megabytes: float
    servers: tuple[str, ...]

    def __str__(self) -> str:
        hosts = " and ".join(urlsplit(s).hostname or s for s in self.servers)
        counted = f"{len(self.models)} candidate{'s' * (len(self.models) != 1)}"
        return f"{counted}, about {self.megabytes:.0f} MB, from {hosts}"


def needed(spec: Experiment) -> Download | None:
    """What would be downloaded for a bank; None where everything is here."""
    absent = []
    for model in spec.bank.values():
        if model.weights.partition(":")[0] in PLACES:
            try:
                weight_files(model, offline=True)
            except WeightsUnavailable:
                absent.append(model)
    if not absent:
        return None
    parameters = sum(m.parameters or measured_sizes(m)["parameters"] for m in absent)
    servers = dict.fromkeys(_server(m) for m in absent)
    return Download(tuple(absent), BYTES * parameters / 1e6, tuple(servers))


def declined(
    download: Download,
    fetch: bool | None,
    ask: Callable[[str], bool] | None = None,
    reachable: Callable[[str], bool] | None = None,
) -> dict[str, str]:
    """{model: why} of the models that are not fetched; empty where all of them are.

    fetch  True or False where the user has decided; None asks on a terminal, and fetches nothing where there is none
    """
    if fetch is False:
        return {m.name: NOT_FETCHED for m in download.models}
    answers = {server: (reachable or is_reachable)(server) for server in download.servers}
    away = {m.name: _unreachable(_server(m)) for m in download.models if not answers[_server(m)]}
    if len(away) == len(download.models) or fetch or (ask or _on_terminal)(f"Fetch {download}?"):
        return away
    return {m.name: away.get(m.name, NOT_FETCHED) for m in download.models}


def _unreachable(server: str) -> str:
    if _is_offline(server):
        return "its weights are not on this machine, and HF_HUB_OFFLINE is set"
    return f"its weights are not on this machine, and {server} does not answer"


def _is_offline(server: str) -> bool:
    asked = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")
    return asked and server == _server_of("hf-hub")


def is_reachable(server: str) -> bool:
    """Whether a connection to a server is accepted within `PATIENCE`; through a proxy that is not asked."""
    if _is_offline(server):
        return False
    if getproxies().get("https"):
        return True
    address = urlsplit(server)
    port = address.port or {"http": 80}.get(address.scheme, 443)
    try:
        socket.create_connection((address.hostname or server, port), PATIENCE).close()
    except OSError:
        return False
    return True


def _server(model: ModelSpec) -> str:
    return _server_of(model.weights.partition(":")[0])


def _server_of(kind: str) -> str:
    return PLACES[kind] if kind == "torchvision" else os.environ.get("HF_ENDPOINT") or PLACES[kind]


def _on_terminal(question: str) -> bool:
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
