"""From a path or a name to a pack: images decoded once, labels, class names, a split."""
