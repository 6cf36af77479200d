"""Which nodes a Ray cluster has at the moment, and how many workers there is room for on them."""

from __future__ import annotations

import math
import socket
from collections.abc import Mapping
from typing import TypedDict

import ray

from benchmark.config.experiment import ExecutorSpec


class Node(TypedDict):
    """What Ray says of a node."""

    NodeID: str
    NodeManagerAddress: str
    NodeManagerPort: int
    Resources: Mapping[str, float]


class Nodes:
    """The cluster's nodes, without those that are known to be gone, and the share of one that a worker asks for."""

    def __init__(self, spec: ExecutorSpec):
        self.gone: set[str] = set()  # the cluster itself needs some time to notice
        self.cpus, self.gpus = spec.num_cpus or spec.threads, self._share_of_gpus(spec)

    def alive(self) -> list[Node]:
        return [n for n in ray.nodes() if n["Alive"] and n["NodeID"] not in self.gone]

    def still_has(self, node: str) -> bool:
        """Whether a node is in the cluster and answers; one that does not counts as gone from now on."""
        found = next((n for n in self.alive() if n["NodeID"] == node), None)
        if found and answers(found["NodeManagerAddress"], found["NodeManagerPort"]):
            return True
        self.gone.add(node)
        return False

    def seats(self, resources: Mapping[str, float]) -> int:
        """Workers that a node can hold at once; a worker's share of a GPU is of one GPU."""
        seats = math.floor(resources.get("CPU", 0) / self.cpus + 1e-9)
        if self.gpus:
            seats = min(seats, int(resources.get("GPU", 0)) * math.floor(1 / self.gpus + 1e-9))
        return seats

    @property
    def request(self) -> str:
        return f"{self.cpus:g} CPU and {self.gpus:g} GPU per cell"

    def _share_of_gpus(self, spec: ExecutorSpec) -> float:
        if spec.device == "cpu" or spec.num_gpus is not None:
            return spec.num_gpus or 0
        return int(spec.device == "cuda" or any(n["Resources"].get("GPU") for n in self.alive()))


def answers(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True
