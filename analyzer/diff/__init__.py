"""``bpftape diff``: what is new, gone or changed between two recordings, and what cannot be told."""
