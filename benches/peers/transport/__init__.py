"""Entropic transport, side by side.

Every cell, that is case, tolerance and contender, has a process of its own, and the runner trusts
no contender: it measures the plan that comes back.

==============  =========================================================================
cases           the problems: costs, weights, regularisation; batches of them
contenders      the solvers, a function for each family
cell            the child: one contender, one case, one tolerance
run, report     ``python -m peers transport``: the parent, and what it writes
ratios          the part of the report that compares us with the fastest peer
figure          ``python -m peers transport-figure``: error against time, of an earlier run
==============  =========================================================================
"""
