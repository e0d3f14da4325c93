"""Merge recordings of several hosts: how their clocks lie to each other, and one folder that holds them all."""
