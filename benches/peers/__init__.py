"""sparrot and other solvers of entropic transport, side by side on the same problems.

``python -m peers`` from ``benches/``. Every cell, that is case, tolerance and contender, has a
process of its own, and the runner trusts no contender: it measures the plan that comes back.
"""
