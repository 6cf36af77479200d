"""A user's images in, an answer out: which model to fine-tune, how sure, and why."""
