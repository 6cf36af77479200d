"""A user's own images, whatever form they come in: read, complained about, split."""
