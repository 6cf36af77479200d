"""From a specification to a network: its weights from wherever they are, its last classifier, its features."""
