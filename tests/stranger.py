"""An estimator as somebody who knows nothing of this project would write it: two arrays in, a float out."""

import numpy as np


def centroid_accuracy(features, labels) -> float:
    """Share of images that are nearest to the mean of their own class."""
    classes = np.unique(labels)
    means = np.stack([features[labels == c].mean(axis=0) for c in classes])
    distances = ((features[:, None, :] - means) ** 2).sum(axis=2)
    return float((classes[distances.argmin(axis=1)] == labels).mean())
