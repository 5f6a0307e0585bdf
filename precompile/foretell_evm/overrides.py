"""What a call may pretend: other accounts and another block than the chain has (geth's override sets)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from eth.abc import BlockHeaderAPI, StateAPI
from eth_typing import Address


@dataclass(frozen=True, slots=True)
class AccountOverride:
    """``None`` leaves a field as it is. ``storage`` replaces all of it, ``storage_diff`` single slots."""

    balance: int | None = None
    nonce: int | None = None
    code: bytes | None = None
    storage: Mapping[int, int] | None = None
    storage_diff: Mapping[int, int] = field(default_factory=dict)

    def apply(self, state: StateAPI, address: Address) -> None:
        """Change a throw-away state."""
        if self.balance is not None:
            state.set_balance(address, self.balance)
        if self.nonce is not None:
            state.set_nonce(address, self.nonce)
        if self.code is not None:
            state.set_code(address, self.code)
        if self.storage is not None:
            state.delete_storage(address)
        for slot, value in {**(self.storage or {}), **self.storage_diff}.items():
            state.set_storage(address, slot, value)


@dataclass(frozen=True, slots=True)
class BlockOverride:
    """``None`` leaves a field of the header as it is."""

    block_number: int | None = None
    timestamp: int | None = None
    gas_limit: int | None = None
    coinbase: Address | None = None
    mix_hash: bytes | None = None
    base_fee_per_gas: int | None = None

    def apply(self, header: BlockHeaderAPI) -> BlockHeaderAPI:
        """The header with these fields."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        changed: BlockHeaderAPI = header.copy(**changes) if changes else header
        return changed


@dataclass(frozen=True, slots=True)
class Overrides:
    """Everything that one call pretends."""

    accounts: Mapping[Address, AccountOverride] = field(default_factory=dict)
    block: BlockOverride = BlockOverride()

    def apply(self, state: StateAPI) -> None:
        """Change a throw-away state; what it held before counts as original no more (EIP-2200)."""
        for address, override in self.accounts.items():
            override.apply(state, address)
        if self.accounts:
            state.lock_changes()


NO_OVERRIDES: Final = Overrides()
