"""The verbs of ``bpftape`` that need the recorder's code; what a module of this package is, ``analyzer.verbs`` says."""
