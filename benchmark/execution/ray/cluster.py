"""Being connected to a Ray cluster, and the code that travels to its nodes."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import shutil
import signal
import site
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import ray

from benchmark import provenance
from benchmark.config.experiment import ExecutorSpec
from benchmark.errors import ConfigError
from benchmark.execution.ray.guard import NAME, __file__
from benchmark.places import INSTALLED
from benchmark.surroundings import THREAD_VARIABLES

CODE_MEGABYTES = 100
TERMINATED = 128 + signal.SIGTERM
TOLD_TO_END = threading.Event()


@contextlib.contextmanager
def connected(spec: ExecutorSpec) -> Iterator[bool]:
    """A connection to the cluster that `executor.address` names, or to one that is started here and ended after.

    Yields whether it is of this machine alone, so that no other node will ever join it.
    The project's code goes to the nodes as the job's working directory; installed packages must be there already.
    """
    address = spec.address or os.environ.get("RAY_ADDRESS") or "local"
    _refuse_unreachable(address)
    environment = dict.fromkeys(THREAD_VARIABLES, str(spec.threads))
    environment |= {"BENCHMARK_COMMIT": provenance.commit() or ""}
    if tracebacks := os.environ.get("BENCHMARK_TRACEBACK"):
        environment |= {"BENCHMARK_TRACEBACK": tracebacks}
    os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"  # under `ray job submit`, what is said here holds
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # of a cluster that is started here: like local workers
    local = address == "local"
    with _guarded() if local else contextlib.nullcontext():
        try:
            with tempfile.TemporaryDirectory() as code:
                gather_code(Path(code))
                ray.init(
                    address,
                    runtime_env={"working_dir": code, "env_vars": environment},
                    log_to_driver=bool(tracebacks),
                    logging_level=logging.ERROR,
                    num_cpus=len(os.sched_getaffinity(0)) if local else None,
                    include_dashboard=False if local else None,
                )
        except ConfigError:
            raise
        except Exception as error:  # Ray raises bare ones too, for processes that are slow to start
            raise ConfigError(
                f"executor.address must lead to a Ray cluster that this Python can join. Got '{address}': "
                f"{' '.join(str(error).split())}"
            ) from None
        try:
            with _ending_cleanly_when_told_to():
                yield local
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Whatever happens to this process, the cluster that it starts meanwhile ends with it."""
    mark = uuid.uuid4().hex
    os.environ[NAME] = mark  # what Ray starts inherits it
    guard = subprocess.Popen([sys.executable, "-I", __file__, mark], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        del os.environ[NAME]
        guard.communicate()  # closes its standard input, on which it ends


@contextlib.contextmanager
def _ending_cleanly_when_told_to() -> Iterator[None]:
    """SIGTERM, with which Slurm cancels, ends the run as Ctrl-C does; Ray would print a stack and abort."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        TOLD_TO_END.set()  # no exception: one that comes up inside Ray's own code may be lost there (see Crew.ready)

    TOLD_TO_END.clear()
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
    if TOLD_TO_END.is_set():
        sys.exit(TERMINATED)


def _refuse_unreachable(address: str) -> None:
    """Ray would try for minutes, and then end the process."""
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "://" in address:
        raise ConfigError(
            f"executor.address must be null, auto or <host>:<port>. Got '{address}'. Start the run on a machine of the "
            "cluster and say auto."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise ConfigError(
            f"executor.address must be a running cluster's. Got '{address}', which does not answer ({error}). Is "
            "`ray start --head` running there, and may this machine reach that port?"
        ) from None


def gather_code(folder: Path) -> None:
    """Copy this project's packages, and every module in use that is neither Python's nor installed, to a folder."""
    names = {"benchmark", "methods"} | {name for name in list(sys.modules) if _of_the_user(name)}
    for name in sorted(names):
        module = importlib.import_module(name)
        for place in map(Path, getattr(module, "__path__", None) or [module.__file__]):
            if place.is_dir():
                size = sum(p.stat().st_size for p in place.rglob("*") if p.is_file()) / 1e6
                if size > CODE_MEGABYTES:
                    raise ConfigError(
                        f"Package '{name}' must have at most {CODE_MEGABYTES} MB to travel to the nodes. Got "
                        f"{size:.0f} MB in {place}. Install it on every node and here."
                    )
                shutil.copytree(place, folder / name, ignore=_staying, dirs_exist_ok=True)
            else:
                shutil.copy(place, folder)


def _staying(folder: str, names: list[str]) -> list[str]:
    """What of a package's folder no node needs: the released layer travels as cells, the configuration composed."""
    return [n for n in names if n == "__pycache__" or n.startswith(".") or Path(folder, n).resolve() == INSTALLED]


def _of_the_user(name: str) -> bool:
    if "." in name or name in ("__main__", "__mp_main__"):  # torch.classes answers to every attribute
        return False
    module = sys.modules[name]
    places = list(getattr(module, "__path__", None) or []) or [getattr(module, "__file__", None)]
    if not isinstance(places[0], str):
        return False
    paths = sysconfig.get_paths()
    installed = [paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    installed += [*site.getsitepackages(), site.getusersitepackages()]
    return not any(Path(places[0]).resolve().is_relative_to(Path(root).resolve()) for root in installed)
