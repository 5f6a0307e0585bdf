"""Genesis: Ethereum's contracts, the precompile's account, the system contracts, and funded accounts.

The system contracts get there as on any other chain, by running their constructors; what these leave behind
(runtime code with immutables, storage) becomes the allocation, so a genesis can be written down and compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from eth.abc import BlockHeaderAPI, DatabaseAPI, StateAPI
from eth.chains.base import Chain
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.db.atomic import AtomicDB
from eth.rlp.headers import BlockHeader
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague.state import PragueState
from eth.vm.message import Message
from eth_abi import encode
from eth_typing import Address, ChecksumAddress
from eth_utils import to_canonical_address, to_checksum_address

from foretell_contracts import load
from foretell_evm.accounts import dev_accounts
from foretell_evm.blocks import BlockRecord
from foretell_evm.config import ChainConfig, SystemParameters
from foretell_evm.errors import ConfigError
from foretell_evm.ethereum_contracts import ETHEREUM_CONTRACTS
from foretell_evm.opengradient import addresses as opengradient
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.opengradient.description import OpenGradientDescription
from foretell_evm.vm import ForetellVM, chain_class
from foretell_spec.addresses import (
    CIRCUIT_VERIFIER,
    DISPUTES,
    MODEL_REGISTRY,
    OPERATOR_REGISTRY,
    PRECOMPILE,
    SETTLEMENT,
    ZERO_ADDRESS,
)
from foretell_spec.sidecar import Sidecar

# INVALID: the account must have code, or compilers' existence checks fail and EIP-161 clears its storage.
PRECOMPILE_CODE: Final = b"\xfe"
_CONSTRUCTOR_GAS: Final = 20_000_000
_EMPTY_ROOT_HEADER: Final = BlockHeader(difficulty=0, block_number=-1, gas_limit=0)


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """State of one account at block 0. ``balance`` in wei."""

    balance: int = 0
    nonce: int = 0
    code: bytes = b""
    storage: Mapping[int, int] = field(default_factory=dict)


Allocation = Mapping[ChecksumAddress, GenesisAccount]
_Constructor = tuple[str, ChecksumAddress, list[str], list[Any]]
"""Artifact, address, and types and values of the arguments."""


class _RecordingState(PragueState):
    """Remembers what constructors store: a trie does not give its keys back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.stored: dict[tuple[Address, int], int] = {}
        super().__init__(*args, **kwargs)

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        self.stored[address, slot] = value
        super().set_storage(address, slot, value)


def _constructors(system: SystemParameters) -> list[_Constructor]:
    return [
        ("ModelRegistry", MODEL_REGISTRY, [], []),
        (
            "OperatorRegistry",
            OPERATOR_REGISTRY,
            ["address", "uint256", "uint256"],
            [SETTLEMENT, system.min_bond, system.unbonding_period],
        ),
        ("CircuitVerifier", CIRCUIT_VERIFIER, ["address"], [MODEL_REGISTRY]),
        (
            "Disputes",
            DISPUTES,
            ["address", "address", "uint256"],
            [OPERATOR_REGISTRY, CIRCUIT_VERIFIER, system.dispute_bond],
        ),
        (
            "Settlement",
            SETTLEMENT,
            ["address", "address", "address", "uint256"],
            [MODEL_REGISTRY, DISPUTES, PRECOMPILE, system.cancel_delay],
        ),
    ]


@lru_cache(maxsize=8)
def system_contracts(system: SystemParameters, chain_id: int) -> Allocation:
    """The predeployed contracts, as their constructors leave them.

    Raises:
        ConfigError: a constructor refuses its arguments.
    """
    return _deployed(_constructors(system), chain_id)


def _deployed(constructors: Sequence[_Constructor], chain_id: int) -> Allocation:
    context = ForetellVM.create_execution_context(
        _genesis_header(30_000_000, 0, 0), (), ChainContext(chain_id)
    )
    state = _RecordingState(AtomicDB(), context, _EMPTY_ROOT_HEADER.state_root)
    return {
        address: _construct(state, name, address, encode(types, values))
        for name, address, types, values in constructors
    }


def _construct(state: _RecordingState, name: str, to: ChecksumAddress, arguments: bytes) -> GenesisAccount:
    address, sender = Address(to_canonical_address(to)), Address(to_canonical_address(ZERO_ADDRESS))
    message = Message(
        to=CREATE_CONTRACT_ADDRESS,
        create_address=address,
        sender=sender,
        value=0,
        data=b"",
        code=load(name).bytecode + arguments,
        gas=_CONSTRUCTOR_GAS,
    )
    context = state.get_transaction_context_class()(gas_price=0, origin=sender)
    computation = state.computation_class.apply_create_message(state, message, context)
    if computation.is_error:
        raise ConfigError(f"the constructor of {name} refuses its arguments: {computation.output!r}")
    slots = {slot: state.get_storage(address, slot) for where, slot in state.stored if where == address}
    storage = {slot: value for slot, value in slots.items() if value}
    return GenesisAccount(nonce=state.get_nonce(address), code=state.get_code(address), storage=storage)


def allocation(config: ChainConfig) -> Allocation:
    """Every account that exists at block 0."""
    funded = {
        account.address: GenesisAccount(balance=config.balance)
        for account in dev_accounts(config.mnemonic, config.accounts)
    }
    endowed = {address: GenesisAccount(balance=wei) for address, wei in config.endowments}
    native = {PRECOMPILE: GenesisAccount(nonce=1, code=PRECOMPILE_CODE)}
    ethereum = {
        to_checksum_address(address): GenesisAccount(nonce=1, code=code)
        for address, code in ETHEREUM_CONTRACTS.items()
    }
    system = system_contracts(config.system, config.chain_id)
    served = {} if config.opengradient is None else _opengradient(config.opengradient, config.chain_id)
    return {**funded, **endowed, **ethereum, **native, **system, **served}


def _opengradient(config: OpenGradientConfig, chain_id: int) -> Allocation:
    """OpenGradient's accounts. The first slot of 0xF4, which no code reads, commits to the settings: whoever
    knows the genesis hash knows them.
    """
    precompiles = {
        to_checksum_address(address): GenesisAccount(nonce=1, code=PRECOMPILE_CODE)
        for address in opengradient.PRECOMPILES
    }
    digest = int.from_bytes(OpenGradientDescription.of(config).digest, "big")
    committed = replace(precompiles[to_checksum_address(opengradient.INFERENCE)], storage={0: digest})
    contracts = _deployed(
        [("InferenceHub", opengradient.HUB, [], []), ("TaskScheduler", opengradient.SCHEDULER, [], [])],
        chain_id,
    )
    return {**precompiles, to_checksum_address(opengradient.INFERENCE): committed, **contracts}


def create_chain(config: ChainConfig, database: DatabaseAPI) -> Chain:
    """A py-evm chain whose states are in ``database``."""
    return chain_class(config.chain_id, config.opengradient)(AtomicDB(database))


def write_genesis(config: ChainConfig, genesis_time: int, database: DatabaseAPI) -> BlockRecord:
    """Put the state of block 0 into ``database``; the block."""
    header = _genesis_header(config.gas_limit, config.base_fee, genesis_time)
    context = ForetellVM.create_execution_context(header, (), ChainContext(config.chain_id))
    state = ForetellVM.get_state_class()(AtomicDB(database), context, _EMPTY_ROOT_HEADER.state_root)
    for address, account in allocation(config).items():
        _apply(state, Address(to_canonical_address(address)), account)
    state.persist()
    sealed = header.copy(state_root=state.state_root)
    block = ForetellVM.get_block_class()(sealed, transactions=[], uncles=[], withdrawals=[])
    return BlockRecord(block, (), Sidecar(), (), state.state_root)


def _genesis_header(gas_limit: int, base_fee: int, timestamp: int) -> BlockHeaderAPI:
    return ForetellVM.create_genesis_header(
        difficulty=0, gas_limit=gas_limit, base_fee_per_gas=base_fee, timestamp=timestamp
    )


def _apply(state: StateAPI, address: Address, account: GenesisAccount) -> None:
    state.set_balance(address, account.balance)
    state.set_nonce(address, account.nonce)
    state.set_code(address, account.code)
    for slot, value in account.storage.items():
        state.set_storage(address, slot, value)
