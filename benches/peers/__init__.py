"""sparrot and its peers, side by side on the same problems: a suite for each subject.

``python -m peers COMMAND`` from ``benches/``. What the suites share is here: child processes
(``child``), the choice of cases (``choice``), what is said of the machine (``machine``) and the
files that are written (``output``).
"""
