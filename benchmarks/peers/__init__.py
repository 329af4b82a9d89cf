"""Comparison with other libraries. No other benchmark needs this folder.

Each library has an interpreter of its own, into which ``make bench-peers`` installs it. ``libraries`` has one function
for each, ``host`` times it in its interpreter beside the bare loop, and ``table`` collects the results.
"""
