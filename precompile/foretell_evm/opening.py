"""From a configuration and a folder to the blocks of a chain: a new one, or the one that the folder holds."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from foretell_evm.accounts import dev_accounts
from foretell_evm.config import ChainConfig
from foretell_evm.description import ChainDescription
from foretell_evm.errors import ConfigError
from foretell_evm.genesis import write_genesis
from foretell_evm.history import History
from foretell_evm.storage.store import Store

_DESCRIPTION: Final = "description"
_SHOWN: Final = 200
"""Characters of a rule in a message: a price feed has millions."""


def open_history(config: ChainConfig, folder: Path | None) -> tuple[ChainConfig, Store, History]:
    """The chain of a folder, made there if it holds none; ``None``: a temporary one.

    Returns the configuration with the chain's own genesis time as well.

    Raises:
        ConfigError: the configuration makes no chain, or another one than the folder holds.
        StoreError: the folder cannot be used.
    """
    store = Store(folder)
    try:
        known = store.fact(_DESCRIPTION)
        config = _resumed(config, known) if known is not None else _begun(config)
        genesis = write_genesis(config, _genesis_time(config), store.nodes)
        history = History(store, genesis)
        if history.block(0).block.hash != genesis.block.hash:
            raise ConfigError(
                f"{folder} holds a chain that began otherwise: another version of Foretell made it"
            )
        store.nodes.set_aside()
        if known is None and folder is not None:
            store.set_fact(_DESCRIPTION, describe(config).model_dump_json())
    except BaseException:
        store.close()
        raise
    return config, store, history


def describe(config: ChainConfig) -> ChainDescription:
    """What others need to build the same chain. The genesis time is set."""
    accounts = [account.address for account in dev_accounts(config.mnemonic, config.accounts)]
    return ChainDescription.of(config, _genesis_time(config), accounts)


def _begun(config: ChainConfig) -> ChainConfig:
    started = int(time.time()) if config.genesis_time is None else config.genesis_time
    return replace(config, genesis_time=started)


def _resumed(config: ChainConfig, known: str) -> ChainConfig:
    kept = ChainDescription.model_validate_json(known)
    if config.genesis_time is None:
        config = replace(config, genesis_time=kept.genesis_time)
    wanted = describe(config)
    for name in ChainDescription.model_fields:
        ours, theirs = getattr(wanted, name), getattr(kept, name)
        if ours != theirs:
            kind = name.replace("_", " ")
            failure = ConfigError(f"the folder holds a chain with another {kind}: {str(theirs)[:_SHOWN]}")
            failure.hint = "start it as it was started first, or name another folder"
            raise failure
    return config


def _genesis_time(config: ChainConfig) -> int:
    if config.genesis_time is None:
        raise ConfigError("the genesis time is not set")
    return config.genesis_time
