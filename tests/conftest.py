"""What several test modules share."""

import shutil

import pytest

from benchmark.data import packs
from tests import running, tiny

LONG = ("search/test_search", "ranking/test_rank", "execution/test_survival", "execution/test_ray", "test_run")
"""Files of tests that take longest: they come first, so that no process is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(tuple(f"tests/{name}.py" for name in LONG)))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished, uninterrupted run of the tiny experiment. Not to be written to: see `copied`."""
    place = tmp_path_factory.mktemp("finished")
    done = running.here(place)  # what others compute in processes must be the same bytes
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run's cache, to go on from."""
    shutil.copytree(finished / "cache", tmp_path / "cache")
    return tmp_path


@pytest.fixture(scope="session")
def pack(tmp_path_factory) -> packs.Pack:
    """A pack of digits that small networks learn in seconds. Not to be written to."""
    return tiny.digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def no_pictures(monkeypatch) -> None:
    """Reports without their pictures, which take most of the time, for tests of what else is in them."""
    monkeypatch.setattr("benchmark.reporting.folder._pictures", lambda *_: None)


@pytest.fixture
def one_thread() -> None:
    """The last bits of a training depend on the number of threads."""
    import torch

    torch.set_num_threads(1)
