"""Weights and images in, features and accuracies out: fine-tuning, pretraining, probes."""
