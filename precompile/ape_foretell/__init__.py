"""Ape's plugin: the provider ``ethereum:local:foretell``, a chain of its own whose contracts call models.

Ape imports this module at each start, so it holds the hooks alone; what they name is imported once needed.
"""

from collections.abc import Iterator
from typing import Any

from ape import plugins


@plugins.register(plugins.Config)
def config_class() -> type[Any]:
    """The section ``foretell:`` of ``ape-config.yaml``."""
    from ape_foretell.config import ForetellConfig

    return ForetellConfig


@plugins.register(plugins.ProviderPlugin)
def providers() -> Iterator[tuple[str, str, type[Any]]]:
    """The provider, for Ethereum's local network."""
    from ape_foretell.provider import DevnetProvider

    yield "ethereum", "local", DevnetProvider
