"""Entropic transport, side by side.

Every cell, that is case, tolerance and contender, has a process of its own, and the runner trusts
no contender: it measures the plan that comes back.
"""
