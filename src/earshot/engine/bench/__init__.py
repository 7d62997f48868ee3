"""Benchmarks: each measured part runs in a process of its own, its input made outside of it.

What each figure means: docs/benchmarks.md.
"""
