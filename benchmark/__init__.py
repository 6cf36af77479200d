"""Benchmark harness for scalable diverse model selection."""
