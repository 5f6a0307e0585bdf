"""A case of the differential fuzz: accounts, a block's environment and signed transactions, as JSON values.

Plain values alone, so that every engine reads the same text, whatever libraries it is made of.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """State of an account. ``code`` is hex without prefix."""

    balance: int = 0
    nonce: int = 0
    code: str = ""
    storage: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """The block that the transactions run in. ``coinbase`` and ``prev_randao`` are hex without prefix."""

    number: int = 1
    timestamp: int = 1_700_000_000
    coinbase: str = "c0" * 20
    gas_limit: int = 30_000_000
    base_fee: int = 7
    prev_randao: str = "22" * 32
    excess_blob_gas: int = 0
    chain_id: int = 1


@dataclass(frozen=True, slots=True)
class Case:
    """``accounts`` by address and ``transactions`` as they go over the wire, both hex without prefix.

    ``ours``: the programs may call the fork's own addresses, as they are or put together while they run.
    """

    seed: int
    environment: Environment
    accounts: Mapping[str, Account]
    transactions: tuple[str, ...]
    ours: bool = False

    def to_json(self) -> Json:
        """JSON values; storage keys become decimal texts."""
        found: Json = json.loads(json.dumps(asdict(self)))
        return found

    @classmethod
    def from_json(cls, value: Json) -> "Case":
        """What :meth:`to_json` gave."""
        accounts = {
            address: Account(
                **{**each, "storage": {int(slot): word for slot, word in each["storage"].items()}}
            )
            for address, each in value["accounts"].items()
        }
        environment = Environment(**value["environment"])
        return cls(value["seed"], environment, accounts, tuple(value["transactions"]), value["ours"])

    def without(self, *, account: str = "", transaction: int | None = None) -> "Case":
        """The case without one of its parts."""
        accounts = {address: each for address, each in self.accounts.items() if address != account}
        transactions = tuple(each for index, each in enumerate(self.transactions) if index != transaction)
        return replace(self, accounts=accounts, transactions=transactions)

    def with_code(self, address: str, code: str) -> "Case":
        """The case with other code at an address."""
        return replace(self, accounts={**self.accounts, address: replace(self.accounts[address], code=code)})


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of one transaction. ``logs`` are (address, topics, data), all hex."""

    valid: bool
    success: bool = False
    gas_used: int = 0
    logs: tuple[tuple[str, tuple[str, ...], str], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an engine makes of a case. Engines that know no tries give no ``state_root``."""

    executions: tuple[Execution, ...]
    state_root: str

    @classmethod
    def from_json(cls, value: Json) -> "Outcome":
        """What another process sent."""
        executions = tuple(
            Execution(
                each["valid"],
                each["success"],
                each["gas_used"],
                tuple((address, tuple(topics), data) for address, topics, data in each["logs"]),
            )
            for each in value["executions"]
        )
        return cls(executions, value["state_root"])
