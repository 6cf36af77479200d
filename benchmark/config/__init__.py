"""YAML and overrides in, frozen and validated specifications out. `config.compose` alone knows Hydra."""
