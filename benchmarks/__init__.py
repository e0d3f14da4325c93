"""Benchmarks: run by ``make bench``, never as tests. Results are kept beside them, with the machine that made them."""
