"""What the scripts beside this have in common: the tests of others, as they are and with ours."""

import functools
import multiprocessing
import os
import re
from collections import Counter

import pytest


class Tally:
    """How each test ended, and which of them called ours."""

    def __init__(self) -> None:
        self.outcomes = {}
        self.messages = {}
        self.called = set()

    def pytest_runtest_logreport(self, report) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        self.outcomes[report.nodeid] = report.outcome
        if report.failed:
            self.messages[report.nodeid] = str(report.longrepr).splitlines()[-1]

    def recording(self, function):
        @functools.wraps(function)
        def recorded(*args, **kwargs):
            # Test modules may call some before there is a test, as they are imported.
            if test := os.environ.get("PYTEST_CURRENT_TEST"):
                self.called.add(test.rpartition(" ")[0])
            return function(*args, **kwargs)

        return recorded

    def run(self, *options: str) -> None:
        always = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, "--tb=line", "--no-summary")
        pytest.main([*always, *options], plugins=[self])


def twice(run, *options) -> list[Tally]:
    """Return the tallies of ``run(*options, replaced)`` without and with ours."""
    # A process for each, as test modules stay imported.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(run, [(*options, False), (*options, True)], chunksize=1)


def compare(
    before: Tally, after: Tally, differences: dict[str, str], version: str, *, exact: bool = False
) -> int:
    """Print how the tests that call ours ended, and return 0 if as expected.

    That is if those which fail now only match ``differences``, each of which is needed; and, if
    ``exact``, if no other test matches.
    """
    counts = Counter()
    used = set()
    for name in sorted(after.called):
        outcome = after.outcomes[name]
        if outcome == "skipped" and before.outcomes[name] == "passed":
            outcome = "not offered, and skipped by the test itself"
        elif outcome == "failed" and before.outcomes[name] == "failed":
            outcome = "failing before too"
        elif outcome == "failed":
            pattern = next((what for what in differences if re.search(what, name)), None)
            outcome = "different as expected" if pattern else "NOT EXPECTED"
            used.add(pattern)
            print(f"{outcome}: {name}: {differences.get(pattern, after.messages[name])}")
        elif exact and any(re.search(what, name) for what in differences):
            outcome = "NOT EXPECTED"
            used.add(None)
            print(f"{outcome}: {name}: is of DIFFERENCES, but does not fail")
        counts[outcome] += 1
    for pattern in set(differences) - used:
        print(f"NOT EXPECTED: {pattern} no longer fails")
    print(f"\n{version}, {len(after.called)} tests call sparrot's functions:")
    for outcome, count in counts.most_common():
        print(f"{count:>5} {outcome}")
    return int(used != set(differences))
