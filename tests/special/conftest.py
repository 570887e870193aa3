"""What the tests of scipy ask of pytest."""


def pytest_configure(config):
    # The marks that scipy's own tests carry; for NumPy arrays they say nothing.
    for mark in (
        "array_api_backends",
        "skip_xp_backends",
        "xfail_xp_backends",
        "uses_xp_capabilities",
    ):
        config.addinivalue_line("markers", f"{mark}: of scipy's tests, without effect here")
