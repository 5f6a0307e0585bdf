"""From configuration to a running devnet."""

from pathlib import Path

from ape.exceptions import ConfigError, ProviderError
from ape.utils import DEFAULT_TEST_HD_PATH
from ape.utils.testing import generate_dev_accounts
from ape_test import ApeTestConfig

from ape_foretell.config import ForetellConfig
from foretell_evm.config import ChainConfig, PoolLimits
from foretell_evm.errors import EvmError

try:
    from foretell_cli.devnet import Devnet, DevnetError, development_chain
    from foretell_relayer.models.errors import ModelError
    from foretell_relayer.prove.errors import ProveError
except ModuleNotFoundError as error:
    raise ConfigError(
        f"the provider foretell runs models, which takes the package {error.name}: "
        "pip install 'ape-foretell[relayer]'"
    ) from error


def start_devnet(settings: ForetellConfig, test: ApeTestConfig, project: Path) -> Devnet:
    """A devnet as the sections ``foretell:`` and ``test:`` describe it.

    Raises:
        ConfigError: they describe none.
        ProviderError: a model cannot be served.
    """
    config, folders = chain_config(settings, test, project), settings.model_folders(project)
    try:
        return development_chain(
            folders, operators=settings.operators, bond=settings.operator_bond, config=config
        )
    except (DevnetError, ModelError, ProveError) as error:
        raise ProviderError(f"foretell: {error}") from error


def chain_config(settings: ForetellConfig, test: ApeTestConfig, project: Path) -> ChainConfig:
    """The chain alone, funded for Ape's test accounts; paths are relative to ``project``.

    Raises:
        ConfigError: there is no such chain.
    """
    accounts = test.number_of_accounts
    default_path = test.hd_path.rstrip("/") in (DEFAULT_TEST_HD_PATH, f"{DEFAULT_TEST_HD_PATH}/{{}}")
    others = [] if default_path else generate_dev_accounts(test.mnemonic, accounts, hd_path=test.hd_path)
    if not test.number_of_accounts:
        raise ConfigError("foretell: 0 accounts; `test: number_of_accounts` must be at least 1")
    try:
        return ChainConfig(
            chain_id=settings.chain_id,
            mnemonic=test.mnemonic,
            accounts=accounts,
            balance=test.balance,
            endowments=tuple((account.address, test.balance) for account in others),
            gas_limit=settings.gas_limit,
            call_waits=settings.answer_seconds,
            limits=PoolLimits(deadline=settings.answer_seconds),
            opengradient=None if settings.opengradient is None else settings.opengradient.config(project),
        )
    except EvmError as error:
        raise ConfigError(f"foretell: {error}") from error
