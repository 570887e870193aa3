"""Forks, process pools and threads: no hang, and the same answer."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
import threadpoolctl

import sparrot
from sparrot.transport import solve

COST = np.random.default_rng(0).random((700, 700))


def answer(threads=2):
    result = solve(COST, reg=0.01, tol=1e-8, n_threads=threads)
    return result.potentials[0].tobytes()


@pytest.fixture(scope="module")
def expected():
    return answer()  # the parent's pool is running from here on


def test_a_forked_child_builds_its_own_pool(expected):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a hang kills the child, not the suite
        os.write(writer, b"same" if answer() == expected else b"else")
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 4) == b"same"
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_multiprocessing(method, expected):
    with multiprocessing.get_context(method).Pool(2) as pool:
        answers = pool.map_async(answer, [1, 2, 2]).get(timeout=60)
    assert answers == [expected] * 3


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib(backend, expected):
    answers = joblib.Parallel(n_jobs=2, backend=backend)(
        joblib.delayed(answer)(2) for _ in range(4)
    )
    assert answers == [expected] * 4


def test_many_threads_at_once(expected):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(answer(3))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert answers == [expected] * 6


@pytest.mark.parametrize("method", ["auto", "sns", "sinkhorn"])
# Sweeps and other reads are shared out from 800,000 entries on, exponentials from 200,000.
@pytest.mark.parametrize("shape", [(1200, 1100), (9000, 100), (90, 9000)])
def test_the_same_bits_for_any_number_of_threads(method, shape, rng):
    cost = rng.random(shape)
    options = {"n_sinkhorn": 5} if method == "sns" else None
    keywords = {"reg": 0.02, "tol": 1e-8, "method": method, "options": options}
    one = solve(cost, n_threads=1, **keywords)
    for threads in (2, 3, 8):
        other = solve(cost, n_threads=threads, **keywords)
        for ours, theirs in zip(one.potentials, other.potentials, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert other.marginal_error == one.marginal_error
        assert other.gap == one.gap
        np.testing.assert_array_equal(other.plan, one.plan)
        vectors = rng.random((shape[1], 2))
        np.testing.assert_array_equal(other.apply(vectors), one.apply(vectors))


def test_threadpoolctl_sees_and_steers(monkeypatch):
    before = sparrot.get_num_threads()
    with threadpoolctl.threadpool_limits(1):
        assert sparrot.get_num_threads() == 1
    assert sparrot.get_num_threads() == before
    monkeypatch.setenv("SPARROT_NUM_THREADS", str(before + 5))
    assert sparrot.get_num_threads() == before + 5  # no limit was left behind
    ours = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "sparrot"]
    assert [info["version"] for info in ours] == [sparrot.__version__]


def in_new_process(code, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout.strip() + done.stderr.strip()


def test_the_number_of_threads_comes_from_the_environment():
    code = "import sparrot; print(sparrot.get_num_threads())"
    assert in_new_process(code, OMP_NUM_THREADS="3") == "3"
    assert in_new_process(code, OMP_NUM_THREADS="3", SPARROT_NUM_THREADS="5") == "5"
    affinity = len(os.sched_getaffinity(0))
    assert int(in_new_process(code)) <= affinity
    assert int(in_new_process(code, SPARROT_NUM_THREADS="none")) <= affinity
    pinned = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);" + code
    assert in_new_process(pinned) == "1"


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, sparrot;"
        "print([m for m in ('scipy', 'sklearn', 'matplotlib', 'pandas') if m in sys.modules])"
    )
    assert in_new_process(code) == "[]"


def test_an_unknown_instruction_set_is_an_error():
    code = "import sparrot; sparrot.transport.solve([[0.0]], reg=1)"
    message = in_new_process(code, SPARROT_SIMD="mmx")
    assert 'InvalidInputError: SPARROT_SIMD="mmx" is not an instruction set' in message


def test_instruction_sets_agree():
    code = (
        "import numpy as np, sparrot;"
        "cost = np.random.default_rng(0).random((90, 83));"
        "r = sparrot.transport.solve(cost, reg=0.01, tol=1e-12);"
        "print(sparrot.simd_level(), *map(float.hex, r.potentials[0].tolist()))"
    )
    answers = {}
    from sparrot import _sparrot

    for level in _sparrot.simd_levels():
        name, *numbers = in_new_process(code, SPARROT_SIMD=level).split()
        assert name == level
        answers[level] = np.array([float.fromhex(x) for x in numbers])
    for potentials in answers.values():
        np.testing.assert_allclose(potentials, answers["baseline"], atol=1e-10)
