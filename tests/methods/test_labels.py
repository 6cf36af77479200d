"""Reading labels."""

import numpy as np
import pytest

from methods.shared.labels import class_index, multi_hot, multilabel


@pytest.mark.parametrize("labels", [[7, 3, 7, 9], ["g", "c", "g", "i"], np.eye(10)[[7, 3, 7, 9]], [7.0, 3.0, 7.0, 9.0]])
def test_ids_are_counted_from_zero_over_the_classes_present(labels):
    codes, counts = class_index(labels)
    assert codes.tolist() == [1, 0, 1, 2]
    assert counts.tolist() == [1, 2, 1]


def test_multi_hot_keeps_given_columns_and_drops_absent_classes():
    given = np.array([[1, 0, 1], [0, 0, 0]])
    assert multilabel(given)
    assert multi_hot(given).tolist() == given.tolist()
    assert multi_hot([5, 2]).tolist() == [[0, 1], [1, 0]]
    assert not multilabel(np.eye(3, dtype=int))
    assert not multilabel([0, 1])


@pytest.mark.parametrize(
    ("labels", "n", "message"),
    [
        ([0, 1], 3, "as many as the images, 3. Got 2"),
        ([0.5, 1], None, "whole numbers"),
        ([np.nan, 1], None, "whole numbers"),
        ([[0, 2]], None, "zeros and ones"),
        ([[1, 1], [1, 0]], None, "one class an image"),
        ([], None, "at least one image"),
        (np.zeros((2, 2, 2)), None, "class ids"),
        ([None, 1], None, "dtype object"),
    ],
)
def test_malformed_labels_are_refused(labels, n, message):
    with pytest.raises(ValueError, match=message):
        class_index(labels, n)
