"""A place for each test, of which no process may be left."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.durability.place import Place, kill


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    try:
        place.wait_until_alone(30)
    finally:
        with suppress(ValueError):
            kill(*(int(found.split()[0]) for found in place.survivors()))
