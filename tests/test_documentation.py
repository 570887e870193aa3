"""Public names have docstrings in numpydoc's form, and examples that run."""

import importlib
import inspect

import pytest
from numpydoc.validate import validate

import sparrot

MODULES = [
    "sparrot",
    "sparrot.descent",
    "sparrot.errors",
    "sparrot.graph",
    "sparrot.interop",
    "sparrot.interop.pot",
    "sparrot.interop.pot.bregman",
    "sparrot.interop.pot.smooth",
    "sparrot.interop.pot.unbalanced",
    "sparrot.linear_model",
    "sparrot.plot",
    "sparrot.sketching",
    "sparrot.sparse_coding",
    "sparrot.special",
    "sparrot.transport",
]

# What numpydoc may complain about without our minding: sections that a short page can do without,
# and the style of one-line summaries.
IGNORED = {"ES01", "SA01", "SA04", "EX01", "GL08", "RT03", "YD01", "RT02", "GL01", "GL02", "GL03"}

# Users receive these and never make one, so their parameters are nobody's business.
NOT_CONSTRUCTED = {
    "sparrot.Status",
    "sparrot.descent.DescentResult",
    "sparrot.descent.DescentState",
    "sparrot.graph.LaplacianResult",
    "sparrot.interop.pot.LazyPlan",
    "sparrot.interop.pot.OTResult",
    "sparrot.sketching.LeastSquaresResult",
    "sparrot.sketching.SoftmaxRegressionResult",
    "sparrot.sparse_coding.CodingResult",
    "sparrot.sparse_coding.CodingState",
    "sparrot.sparse_coding.TrainingState",
    "sparrot.transport.BatchResult",
    "sparrot.transport.IterationState",
    "sparrot.transport.RoutingResult",
    "sparrot.transport.SparseTransportResult",
    "sparrot.transport.TransportResult",
    "sparrot.transport.UnbalancedResult",
}


def public_names():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{module_name}.{name}"
            if inspect.isclass(value) and value.__module__.startswith("sparrot"):
                # With what it has from bases of ours that are not public themselves.
                bases = [base for base in value.__mro__ if base.__module__.startswith("sparrot")]
                members = {k: v for base in reversed(bases) for k, v in vars(base).items()}
                for attribute, member in members.items():
                    if not attribute.startswith("_") and inspect.isfunction(member):
                        yield f"{module_name}.{name}.{attribute}"


@pytest.mark.parametrize("name", sorted(set(public_names())))
def test_docstrings(name):
    report = validate(name)
    ignored = IGNORED | ({"PR01"} if name in NOT_CONSTRUCTED else set())
    errors = [f"{code}: {text}" for code, text in report["errors"] if code not in ignored]
    assert not errors
    assert report["docstring"]


@pytest.mark.parametrize(
    "name",
    [
        "transport.solve",
        "transport.solve_sample",
        "transport.solve_path",
        "transport.solve_batch",
        "transport.round_plan",
    ],
)
def test_functions_have_an_example(name):
    module, function = name.split(".")
    docstring = getattr(getattr(sparrot, module), function).__doc__
    assert ">>>" in docstring
    assert "Raises" in docstring


def test_everything_public_is_there():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        assert all(hasattr(module, name) for name in module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'transprot'"):
        _ = sparrot.transprot
    with pytest.raises(AttributeError, match="no attribute 'slove'"):
        _ = sparrot.transport.slove
    assert "transport" in dir(sparrot)
