"""What tests of transport share."""

import pytest


@pytest.fixture
def pot():
    return pytest.importorskip("ot")
