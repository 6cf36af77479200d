"""A plan's missing cells are computed, each once, by workers here or on a Ray cluster."""
