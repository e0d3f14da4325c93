"""Copies of recordings that are fit to leave the house: names and addresses become pseudonyms, by policy, and a check that nothing leaked.

A policy says what becomes of each kind of column (:mod:`recorder.schema`). Addresses go through Crypto-PAn, names become keyed tokens: the same
value the same token in every table and every file shared under one key, so that GROUP BY and JOIN still work. The heavy libraries are imported
where they are used.
"""
