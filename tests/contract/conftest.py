"""Scripts that run the tests of others are not collected."""

collect_ignore_glob = ["*own_tests.py"]
