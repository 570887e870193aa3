"""States of sketches: any blocks, merged in any way, give the sketch of the whole."""

import pickle

import numpy as np
import pytest
from scipy import sparse

from sparrot.errors import InvalidInputError
from sparrot.sketching import Sketcher, sketch

A = np.random.default_rng(0).normal(size=(700, 5))
KINDS = ("sparse-sign", "countsketch", "gaussian")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[700], [1, 699], [300, 300, 100], [7] * 100])
def test_blocks_of_any_length(kind, lengths):
    state = Sketcher(40, 5, kind=kind, rng=3)
    for end, length in zip(np.cumsum(lengths), lengths, strict=True):
        block = A[end - length : end]
        state.update(sparse.csr_array(block) if length == 300 else block)
    assert state.n_rows == 700
    whole = sketch(A, 40, kind=kind, rng=3)
    np.testing.assert_allclose(state.finalize(), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_merged_and_pickled(kind):
    parts = [
        Sketcher(40, 5, kind=kind, rng=3, first=first).update(A[first : first + 100])
        for first in range(0, 700, 100)
    ]
    sizes = [len(pickle.dumps(part)) for part in parts]
    state = parts[2]
    for part in (parts[0], *parts[3:], parts[1]):
        state.merge(pickle.loads(pickle.dumps(part)))
    whole = sketch(A, 40, kind=kind, rng=3)
    np.testing.assert_allclose(state.finalize(), whole, rtol=0, atol=1e-12)
    assert max(sizes) < 2 * A[:40].nbytes
    with pytest.raises(
        InvalidInputError, match="rows 300 to 399 are to come where rows 300 to 399 have"
    ):
        state.merge(parts[3])
    # After rows 200 to 299 those of another part would come.
    with pytest.raises(InvalidInputError, match="rows 300 to 309 are to come"):
        state.update(A[:10])


def test_what_does_not_belong_together():
    state = Sketcher(40, 5, rng=3).update(A)
    for other, message in (
        (Sketcher(41, 5, rng=3), "another shape"),
        (Sketcher(40, 5, rng=4), "another seed"),
        (Sketcher(40, 5, kind="gaussian", rng=3), "another kind"),
        (None, "other is a NoneType"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            state.merge(other)


def test_a_bad_block_leaves_the_state_as_it_was():
    state = Sketcher(40, 5, rng=3).update(A[:300])
    before = state.finalize()
    bad = A[300:].copy()
    bad[11, 2] = np.inf
    with pytest.raises(InvalidInputError, match=r"block from row 300 on: .*inf at index \(11, 2\)"):
        state.update(bad)
    with pytest.raises(InvalidInputError, match="rows has 4 columns: needs 5"):
        state.update(A[:, :4])
    assert np.array_equal(state.finalize(), before)
    assert state.n_rows == 300
    whole = sketch(A, 40, kind="sparse-sign", rng=3)
    np.testing.assert_allclose(state.update(A[300:]).finalize(), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "srht"}, "kind is 'srht'"),
        ({"size": 5}, "size is 5: needs at least the 8 nonzeros"),
        ({"n_features": 0}, "n_features is 0"),
        ({"first": -1}, "first is -1"),
        ({"rng": "dice"}, "rng is 'dice'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        Sketcher(**{"size": 40, "n_features": 5, **arguments})
