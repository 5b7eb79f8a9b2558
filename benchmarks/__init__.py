"""Benchmarks of the speed of training and drawing: `python -m benchmarks --help`."""
