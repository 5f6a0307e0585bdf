"""What somebody needs to build another node's genesis: served by ``foretell_chain``, read by verifiers."""

from dataclasses import asdict
from typing import Annotated, Any

from eth_typing import ChecksumAddress
from eth_utils import is_checksum_address
from pydantic import AfterValidator, Field, ValidationError

from foretell_evm.config import ChainConfig, PoolLimits, Quorum, SystemParameters
from foretell_evm.errors import ConfigError
from foretell_evm.opengradient.description import OpenGradientDescription
from foretell_evm.strict import Strict, problem

MAX_FUNDED = 2_000


def _checksummed(address: str) -> str:
    if not is_checksum_address(address):
        raise ValueError("not a checksummed address")
    return address


_Address = Annotated[str, AfterValidator(_checksummed)]
_Wei = Annotated[int, Field(ge=0, lt=2**256)]
_Seconds = Annotated[int, Field(ge=0, lt=2**63)]


class _Funded(Strict):
    address: _Address
    wei: _Wei


class _System(Strict):
    min_bond: _Wei
    unbonding_period: _Seconds
    dispute_bond: _Wei
    cancel_delay: _Seconds


class _Quorum(Strict):
    executors: int
    agree: int


class ChainDescription(Strict):
    """A chain's rules and genesis. Amounts in wei, times in seconds."""

    chain_id: int
    genesis_time: _Seconds
    gas_limit: Annotated[int, Field(lt=2**63)]
    base_fee: _Wei
    coinbase: _Address
    funded: Annotated[list[_Funded], Field(max_length=MAX_FUNDED)]
    system: _System
    bundles_per_block: Annotated[int, Field(ge=0, le=1024)]
    quorum: _Quorum
    opengradient: OpenGradientDescription | None = None

    @classmethod
    def of(
        cls, config: ChainConfig, genesis_time: int, accounts: list[ChecksumAddress]
    ) -> "ChainDescription":
        """The description of a chain whose development accounts are ``accounts``."""
        opengradient = config.opengradient
        funded = [*((address, config.balance) for address in accounts), *config.endowments]
        return cls(
            chain_id=config.chain_id,
            genesis_time=genesis_time,
            gas_limit=config.gas_limit,
            base_fee=config.base_fee,
            coinbase=config.coinbase,
            funded=[_Funded(address=address, wei=wei) for address, wei in funded],
            system=_System(**asdict(config.system)),
            bundles_per_block=config.limits.bundles_per_block,
            quorum=_Quorum(**asdict(config.quorum)),
            opengradient=None if opengradient is None else OpenGradientDescription.of(opengradient),
        )

    @classmethod
    def read(cls, value: Any) -> "ChainDescription":
        """Read what another node says of its chain.

        Raises:
            ConfigError: it is no description.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise ConfigError(f"the node's description of its chain: {problem(error)}") from None

    def config(self) -> ChainConfig:
        """The configuration with which a node builds the same genesis.

        Raises:
            ConfigError: it makes no chain.
        """
        return ChainConfig(
            chain_id=self.chain_id,
            accounts=0,
            endowments=tuple((ChecksumAddress(each.address), each.wei) for each in self.funded),  # type: ignore[arg-type]
            gas_limit=self.gas_limit,
            base_fee=self.base_fee,
            coinbase=ChecksumAddress(self.coinbase),  # type: ignore[arg-type]
            genesis_time=self.genesis_time,
            system=SystemParameters(**self.system.model_dump()),
            limits=PoolLimits(bundles_per_block=self.bundles_per_block),
            quorum=Quorum(**self.quorum.model_dump()),
            opengradient=None if self.opengradient is None else self.opengradient.config(),
        )
