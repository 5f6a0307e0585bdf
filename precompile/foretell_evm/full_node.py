"""A full node: a chain that grows by imported blocks alone, and has no model."""

from pathlib import Path
from typing import Self

from foretell_evm.blocks import BlockRecord
from foretell_evm.config import ChainConfig
from foretell_evm.errors import ConfigError
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.genesis import create_chain
from foretell_evm.importing import ImportedBlock, Importer
from foretell_evm.opening import open_history
from foretell_spec.sidecar import Sidecar


class FullNode:
    """A chain that grows by imported blocks. Close it, or use it as a context manager."""

    def __init__(self, config: ChainConfig, folder: Path | None = None) -> None:
        """Start at genesis, or where the chain in ``folder`` ends.

        Raises:
            ConfigError: the configuration leaves the genesis time to the clock, so no two nodes would agree
            on it; or the folder holds another chain.
            StoreError: the folder cannot be used.
        """
        if config.genesis_time is None:
            raise ConfigError("a full node needs the genesis time of the chain that it follows")
        config, self._store, self._history = open_history(config, folder)
        self._importer = Importer(
            config,
            create_chain(config, self._store.nodes),
            EvidenceChecker(config.chain_id, config.quorum),
            self._store,
            self._history,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what is kept."""
        self._store.close()

    @property
    def head(self) -> BlockRecord:
        """The last imported block."""
        return self._history.head

    def import_block(
        self, block_rlp: bytes, sidecar: Sidecar, block_hash: bytes | None = None
    ) -> ImportedBlock:
        """:meth:`Importer.import_block`"""
        return self._importer.import_block(block_rlp, sidecar, block_hash)
