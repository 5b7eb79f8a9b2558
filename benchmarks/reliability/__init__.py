"""Kills, hostile files and faults of disk, signals and network: `python -m benchmarks.reliability`.

`make reliability` measures all, writes docs/results/reliability/*.json and docs/reliability.md.
"""
