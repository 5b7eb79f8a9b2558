"""How fast training and drawing are on this machine: `python -m benchmarks --help`."""
