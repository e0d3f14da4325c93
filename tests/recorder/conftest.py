"""Hypothesis, for tests that time nothing and write nothing into the source tree."""

from hypothesis import settings

settings.register_profile("bpftape", database=None, deadline=None)
settings.load_profile("bpftape")
