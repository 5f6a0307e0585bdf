"""Transactions per second in blocks of 100: the fork against stock py-evm, on the same ones, in one run.

Stock py-evm applies one transaction after the other to the block that it makes, by
``MiningChain.apply_transaction``, and mines it. The fork does it in two ways: 100 raw transactions sent to a
node that mines on demand, and the block builder alone.
Every contender starts from the same state, decodes the transactions itself, and must end with the same
receipts, balances and nonces (the roots of states differ: EIP-2935 has each parent's hash in them).
Each takes its turn in every round, so that whatever else this machine does falls on all alike. All of them
recover senders with coincurve and hash with pysha3.

Bar: the node's rate at least twice stock py-evm's.

Run: ``python scripts/bench/transactions.py``
"""

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import click
from eth._utils.address import generate_contract_address
from eth.abc import BlockHeaderAPI, StateAPI
from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.vm.forks.prague import PragueVM
from eth_abi import encode
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from eth_utils import keccak, to_canonical_address

from foretell_contracts import load
from foretell_evm.accounts import DevAccount, dev_accounts
from foretell_evm.blocks import next_header
from foretell_evm.builder import BlockBuilder
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.genesis import allocation, create_chain
from foretell_evm.opening import open_history
from foretell_evm.resolution import NoAnswers

MIN_RATIO: Final = 2.0
PER_BLOCK: Final = 100
SENDERS: Final = 20
CONFIG: Final = ChainConfig(accounts=SENDERS, mining=Mining.MANUAL, genesis_time=1_700_000_000)
GAS_PRICE: Final = 10 * 10**9
Block = Sequence[bytes]
"""Raw transactions."""


class Contender(ABC):
    """A chain that takes raw transactions into a block."""

    name: str

    @abstractmethod
    def add_block(self, transactions: Block) -> None:
        """Make a block of them."""

    @abstractmethod
    def head(self) -> tuple[BlockHeaderAPI, StateAPI]:
        """Header of the last block, and the state after it."""

    def outcome(self) -> tuple[Any, ...]:
        """What the last block did, as far as it depends on the transactions alone."""
        header, state = self.head()
        addresses = [to_canonical_address(each.address) for each in dev_accounts(CONFIG.mnemonic, SENDERS)]
        accounts = [(state.get_balance(Address(each)), state.get_nonce(Address(each))) for each in addresses]
        return header.receipt_root, header.gas_used, accounts, state.get_balance(header.coinbase)


class Stock(Contender):
    """py-evm as it comes: a transaction at a time into the block that is being made."""

    name = "stock py-evm, apply_transaction"

    def __init__(self) -> None:
        chain_class = MiningChain.configure(
            "StockChain", vm_configuration=((0, PragueVM),), chain_id=CONFIG.chain_id
        )
        accounts: Any = {
            to_canonical_address(address): {
                "balance": account.balance,
                "nonce": account.nonce,
                "code": account.code,
                "storage": dict(account.storage),
            }
            for address, account in allocation(CONFIG).items()
        }
        params: Any = {
            "difficulty": 0,
            "gas_limit": CONFIG.gas_limit,
            "base_fee_per_gas": CONFIG.base_fee,
            "timestamp": CONFIG.genesis_time,
        }
        self.chain: Any = chain_class.from_genesis(AtomicDB(), params, accounts)

    def add_block(self, transactions: Block) -> None:
        parent = self.chain.get_canonical_head()
        self.chain.header = self.chain.header.copy(gas_limit=parent.gas_limit, timestamp=parent.timestamp + 1)
        self.apply([PragueVM.get_transaction_builder().decode(raw) for raw in transactions])

    def head(self) -> tuple[BlockHeaderAPI, StateAPI]:
        header = self.chain.get_canonical_head()
        return header, self.chain.get_vm(header).state

    def apply(self, transactions: Sequence[Any]) -> None:
        """Make the block."""
        for transaction in transactions:
            self.chain.apply_transaction(transaction)
        self.chain.mine_block()


class StockAtOnce(Stock):
    """py-evm, told all transactions of the block at once."""

    name = "stock py-evm, mine_all"

    def apply(self, transactions: Sequence[Any]) -> None:
        self.chain.mine_all(transactions)


class Builder(Contender):
    """The fork's block builder, and the store behind it, without a mempool."""

    name = "fork, block builder alone"

    def __init__(self) -> None:
        config, store, self.history = open_history(CONFIG, None)
        self.chain = create_chain(config, store.nodes)

    def add_block(self, transactions: Block) -> None:
        head = self.history.head
        header = next_header(head.header, head.header.timestamp + 1, CONFIG.coinbase)
        decode = PragueVM.get_transaction_builder().decode
        builder = BlockBuilder(self.chain, header, head.state_root, NoAnswers(), 0)
        built = builder.build([decode(raw) for raw in transactions])
        if built.invalid:
            raise SystemExit(f"left out: {built.invalid}")
        self.history.append(built.record, built.computations)

    def head(self) -> tuple[BlockHeaderAPI, StateAPI]:
        header = self.history.head.header
        return header, self.chain.get_vm(header).state


class Node(Contender):
    """The fork's node: each transaction is sent by JSON-RPC and pre-executed, then a block is mined."""

    name = "fork, node (send 100, mine one block)"

    def __init__(self) -> None:
        self.chain = ForetellChain.create(CONFIG)

    def add_block(self, transactions: Block) -> None:
        for raw in transactions:
            self.chain.rpc("eth_sendRawTransaction", ["0x" + raw.hex()])
        self.chain.mine()

    def head(self) -> tuple[BlockHeaderAPI, StateAPI]:
        return self.chain.head.header, self.chain.state()


@dataclass(slots=True)
class Traffic:
    """Signed transactions of funded accounts, in turn."""

    accounts: tuple[DevAccount, ...] = field(
        default_factory=lambda: dev_accounts(CONFIG.mnemonic, CONFIG.accounts)
    )
    nonces: dict[PrivateKey, int] = field(default_factory=dict)
    receivers: int = 0

    def sign(
        self, account: DevAccount, to: bytes, data: bytes = b"", value: int = 0, gas: int = 100_000
    ) -> bytes:
        """The account's next transaction."""
        nonce = self.nonces.get(account.key, 0)
        self.nonces[account.key] = nonce + 1
        builder: Any = PragueVM.get_transaction_builder()
        unsigned = builder.new_unsigned_dynamic_fee_transaction(
            chain_id=CONFIG.chain_id,
            nonce=nonce,
            max_priority_fee_per_gas=1,
            max_fee_per_gas=GAS_PRICE,
            gas=gas,
            to=to,
            value=value,
            data=data,
            access_list=(),
        )
        return bytes(unsigned.as_signed_transaction(account.key).encode())

    def receiver(self) -> bytes:
        """An address that nobody paid before."""
        self.receivers += 1
        return keccak(self.receivers.to_bytes(8, "big"))[12:]

    def transfers(self) -> Block:
        """A block of ether transfers, each to a new account."""
        return [
            self.sign(self.accounts[index % SENDERS], self.receiver(), value=1, gas=21_000)
            for index in range(PER_BLOCK)
        ]


class TokenTraffic(Traffic):
    """The life of a Vyper ERC-20: half transfers, a quarter approvals, a quarter transfers by allowance."""

    def deployment(self) -> list[Block]:
        """Blocks that give every sender tokens."""
        owner, *others = self.accounts
        code = load("IndexToken").bytecode + encode(["uint256"], [10**30])
        created = self.sign(owner, b"", code, gas=2_000_000)
        self.token = generate_contract_address(Address(to_canonical_address(owner.address)), 0)
        return [[created], [self._transfer(owner, to_canonical_address(each.address)) for each in others]]

    def _call(self, account: DevAccount, signature: str, values: list[Any]) -> bytes:
        types = signature[signature.index("(") + 1 : -1].split(",")
        return self.sign(account, self.token, keccak(text=signature)[:4] + encode(types, values))

    def _transfer(self, account: DevAccount, receiver: bytes) -> bytes:
        return self._call(account, "transfer(address,uint256)", [receiver, 10**24])

    def mix(self) -> Block:
        """A block of calls."""
        block = []
        for index in range(PER_BLOCK // 4):
            owner, spender = self.accounts[index % SENDERS], self.accounts[(index + 1) % SENDERS]
            moved = [owner.address, self.receiver(), 10]
            block += [
                self._call(owner, "transfer(address,uint256)", [self.receiver(), 1]),
                self._call(owner, "transfer(address,uint256)", [self.receiver(), 2]),
                self._call(owner, "approve(address,uint256)", [spender.address, 10]),
                self._call(spender, "transferFrom(address,address,uint256)", moved),
            ]
        return block


@dataclass(slots=True)
class Times:
    """What a contender took for each block, seconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, contender: Contender, block: Block) -> None:
        """Let a contender make a block, and count."""
        wall, cpu = time.perf_counter(), time.process_time()
        contender.add_block(block)
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


def compare(name: str, blocks: Callable[[], Block], first: Sequence[Block], rounds: int) -> float:
    """Print a table; how many times stock py-evm's rate (by CPU time) the node has."""
    contenders: list[Contender] = [Stock(), StockAtOnce(), Builder(), Node()]
    times = {contender: Times() for contender in contenders}
    for block in first:
        for contender in contenders:
            contender.add_block(block)
    for round_ in range(rounds):
        block = blocks()
        for contender in contenders[round_ % 4 :] + contenders[: round_ % 4]:
            times[contender].measure(contender, block)
        reference = contenders[0].outcome()
        for contender in contenders:
            if contender.outcome() != reference:
                raise SystemExit(f"{name}: {contender.name} has another outcome than {contenders[0].name}")
    return report(name, {contender.name: times[contender] for contender in contenders})


def report(name: str, times: dict[str, Times]) -> float:
    """Print what each took; the last one's rate over the first one's."""
    wall, cpu = (
        {each: PER_BLOCK / statistics.median(getattr(taken, clock)) for each, taken in times.items()}
        for clock in ("wall", "cpu")
    )
    first, *_, last = times
    print(f"{f'{name}, blocks of {PER_BLOCK}':44}{'tx/s':>8}{'ratio':>8}{'tx/s (CPU)':>14}{'ratio':>8}")
    for each in times:
        figures = (
            f"{wall[each]:8.0f}{wall[each] / wall[first]:8.2f}{cpu[each]:14.0f}{cpu[each] / cpu[first]:8.2f}"
        )
        print(f"{each:44}{figures}")
    return float(cpu[last] / cpu[first])


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=9, show_default=True, help="Blocks of each kind.")
def main(rounds: int) -> None:
    """Compare. Exits 1 where the node misses the bar."""
    ether, token = Traffic(), TokenTraffic()
    ratios = [
        compare("ether transfers", ether.transfers, [], rounds),
        compare("Vyper ERC-20", token.mix, token.deployment(), rounds),
    ]
    if min(ratios) < MIN_RATIO:
        raise SystemExit(f"under the bar of {MIN_RATIO}")


if __name__ == "__main__":
    main()
