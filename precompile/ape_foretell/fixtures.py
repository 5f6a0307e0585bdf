"""Pytest fixtures for suites on the provider ``foretell``; pytest finds them once the package is installed.

It imports nothing but pytest, so suites that use none of the fixtures pay nothing.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ape_foretell.inference import Inference


@pytest.fixture(scope="session")
def inference() -> "Inference":
    """Models, operators and settlement of the connected chain, and the steps of a request's life."""
    from ape_foretell.inference import Inference

    return Inference()
