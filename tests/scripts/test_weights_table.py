"""The table of recipes and fingerprints says what the weights' cells say."""

import hashlib

import pandas as pd
import pytest

from benchmark.config.compose import compose
from benchmark.config.validation import experiment
from benchmark.errors import ConfigError
from scripts.results import weights_table
from tests.running import TINY, here


def test_a_row_for_each_trained_model(tmp_path):
    places = {"paths.cache": tmp_path / "cache", "paths.out": tmp_path / "out"}
    spec = experiment(compose([*TINY, *(f"{k}={v}" for k, v in places.items())]))
    with pytest.raises(ConfigError, match=r"Not there: trained\. Run it first"):
        weights_table.table(spec)
    assert here(tmp_path).returncode == 0
    assert weights_table.write([spec]) == 0
    found = pd.read_csv(tmp_path / "out" / "weights.csv")
    assert found["model"].tolist() == ["trained"]
    row = found.iloc[0]
    file = tmp_path / "cache" / "weights" / row["key"] / "weights.safetensors"
    assert row["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (row["start"], row["source"], row["steps"], row["batch"]) == ("random", "tiny_source", 4, 16)
    assert 0 <= row["source_accuracy"] <= 100
