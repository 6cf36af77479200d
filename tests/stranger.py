"""An estimator as somebody who knows nothing of this project would write it: two arrays in, a float out."""

import numpy as np


def centroid_accuracy(features, labels) -> float:
    """Share of images that are nearest to the mean of their own class."""
    classes = np.unique(labels)
    means = np.stack([features[labels == c].mean(axis=0) for c in classes])
    distances = ((features[:, None, :] - means) ** 2).sum(axis=2)
    return float((classes[distances.argmin(axis=1)] == labels).mean())


def loss_at_start(network, images, labels) -> float:
    """Minus the loss of the network as it is, with its new head, on the images as they are."""
    import torch
    from torch.nn import functional

    with torch.inference_mode():
        outputs = network.eval()(images.batch(range(len(images))))
    return -float(functional.cross_entropy(outputs, torch.as_tensor(np.array(labels))))


def paints_over(images) -> float:
    images.pixels[:] = 0
    return 1.0
