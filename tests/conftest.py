"""What several test modules share."""

import shutil

import pytest

from tests import running


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished, uninterrupted run of the tiny experiment. Not to be written to: see `copied`."""
    folder = tmp_path_factory.mktemp("finished")
    done = running.run(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run's cache, to go on from."""
    shutil.copytree(finished / "cache", tmp_path / "cache")
    return tmp_path
