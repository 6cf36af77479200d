"""Features and a method in, scores out: draws and seeds, isolation, one's own features, conformance."""
