"""Adds up JUnit reports to one closing line."""

import sys
from xml.etree import ElementTree


def main(paths: list[str]) -> None:
    """Prints `N passed, N failed, N skipped`."""
    suites = [suite for path in paths for suite in ElementTree.parse(path).iter("testsuite")]  # noqa: S314 (our own)
    total, errors, failures, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "errors", "failures", "skipped")
    )
    print(f"{total - errors - failures - skipped} passed, {errors + failures} failed, {skipped} skipped")


main(sys.argv[1:])
