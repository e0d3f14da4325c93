"""The unprivileged side of bpftape: opens recordings and runs reports over them."""
