"""What tests of the common library share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs


@pytest.fixture
def quiet() -> Iterator[None]:
    """Hundreds of schedules log a lot."""
    with capture_logs():
        yield
