"""The chain: accounts, mempool, inference pool, builder and history behind one thread-safe object.

``ForetellChain.create(config, operators)`` starts one in memory; ``rpc(method, params)`` is what both
JSON-RPC doors call. Nothing that builds a block waits for an inference: transactions wait in the pool.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eth.abc import BlockHeaderAPI, DatabaseAPI, SignedTransactionAPI, StateAPI
from eth.rlp.accounts import Account
from eth_typing import Address, ChecksumAddress

from foretell_evm.accounts import DevAccount, dev_accounts
from foretell_evm.admission import Admission, decode_transaction
from foretell_evm.blocks import BlockRecord, Departures
from foretell_evm.builder import BuiltBlock
from foretell_evm.calls import CallRunner
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.core import ChainCore
from foretell_evm.dump import Dump, dump_state
from foretell_evm.following import Follower
from foretell_evm.history import History, Inclusion
from foretell_evm.impersonation import Impersonation
from foretell_evm.inference_pool import InferencePool
from foretell_evm.mempool import Mempool
from foretell_evm.miner import Miner
from foretell_evm.opening import open_history
from foretell_evm.resolution import Source
from foretell_evm.simulation import Simulator
from foretell_evm.snapshots import Snapshots
from foretell_evm.storage.store import Store
from foretell_evm.tracing import Tracer
from foretell_evm.upstream import Upstream
from foretell_spec.operator import Operator


class ForetellChain:
    """A development chain. Use :meth:`create`; close it, or use it as a context manager."""

    def __init__(self, config: ChainConfig, store: Store, history: History) -> None:
        self.config = config
        self.accounts: tuple[DevAccount, ...] = dev_accounts(config.mnemonic, config.accounts)
        self._core = ChainCore(config, store, history)
        self._miner = Miner(self._core, self._take_back)
        self._admission = Admission(self._core, self._miner.transaction_is_ready)
        self._snapshots = Snapshots(self._core, self._admission.advance)
        self.instance_id = secrets.token_bytes(32)
        """What tells this run of the node from others."""
        self._rpc: Callable[[str, Sequence[Any]], Any] | None = None
        self.follower: Follower | None = None
        """Who lets this chain grow by another node's blocks; ``None``: it makes its own."""
        self.tracer = Tracer(self._core)
        self.simulator = Simulator(self._core)
        self.calls = CallRunner(self, self._core.executor, self._core.pool, config.call_waits)

    def _take_back(self, built: BuiltBlock) -> None:
        self._admission.take_back(built)

    # -- life

    @classmethod
    def create(
        cls,
        config: ChainConfig | None = None,
        operators: Sequence[Operator] = (),
        folder: Path | None = None,
    ) -> Self:
        """Start a chain, with operators in this process; each needs a bond as well.

        Args:
            config: default: a chain of ten funded accounts, a block a transaction.
            operators: who answers.
            folder: where the chain is kept; one that is there goes on from its head, and with what waited
                for a block after :meth:`readmit`. Default: it ends with this object.

        Raises:
            ConfigError: the configuration makes no chain, or another one than the folder holds.
            StoreError: the folder cannot be used.
        """
        chain = cls(*open_history(config or ChainConfig(), folder))
        config = chain.config
        for operator in operators:
            chain.add_operator(operator)
        if config.mining is Mining.INTERVAL:
            chain.set_interval(config.block_time)
        return chain

    @classmethod
    def follow(cls, url: str, folder: Path | None = None) -> Self:
        """Start a chain that grows by the checked blocks of another node, and makes none.

        Args:
            url: the node's JSON-RPC.
            folder: where the chain is kept, so that it need not be checked from its genesis on again.

        Raises:
            BlockRejected: the node's chain begins otherwise than it says, or than the folder's.
            UpstreamError: the node does not answer.
            ConfigError: what it says of its chain makes none, or another one than the folder holds.
            StoreError: the folder cannot be used.
        """
        upstream = Upstream(url)
        config = replace(upstream.description().config(), mining=Mining.MANUAL)
        chain = cls(*open_history(config, folder))
        chain.follower = Follower(chain._core, upstream)
        try:
            chain.follower.start()
        except BaseException:
            chain.close()
            raise
        return chain

    def close(self) -> None:
        """Stop mining, following and asking operators."""
        self._core.closed.set()
        if self.follower is not None:
            self.follower.close()
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_operator(self, operator: Operator) -> None:
        """Let an operator answer from now on. Its bond and signer are what OperatorRegistry says."""
        self._core.pool.add_operator(operator)

    def remove_operator(self, address: ChecksumAddress) -> None:
        """Ask an operator no more."""
        self._core.pool.remove_operator(address)

    def rpc(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Call a JSON-RPC method and return its result as JSON values.

        Raises:
            RpcError: what a client would get.
        """
        from foretell_evm.rpc.dispatch import Dispatcher

        if self._rpc is None:
            self._rpc = Dispatcher(self).call
        return self._rpc(method, params)

    # -- parts

    @property
    def pool(self) -> InferencePool:
        """The inference pool."""
        return self._core.pool

    @property
    def mempool(self) -> Mempool:
        """The mempool; read it under :attr:`lock`."""
        return self._core.mempool

    @property
    def history(self) -> History:
        """The blocks."""
        return self._core.history

    @property
    def lock(self) -> threading.RLock:
        """Held by whoever changes the chain or the mempool."""
        return self._core.lock

    @property
    def head(self) -> BlockRecord:
        """The last block."""
        return self._core.head

    @property
    def database(self) -> DatabaseAPI:
        """Trie nodes and blocks by hash; to be read alone."""
        return self._core.store.nodes

    # -- states

    @property
    def gas_limit(self) -> int:
        """Gas limit of the next block."""
        return self._core.gas_limit

    def pending_header(self) -> BlockHeaderAPI:
        """The header that the next block would start from now."""
        return self._core.pending_header()

    def state(self, record: BlockRecord | None = None) -> StateAPI:
        """A throw-away state after a block; after the head where none is given."""
        return self._core.state(record)

    def account(self, address: Address, record: BlockRecord | None = None) -> Account:
        """An account after a block, to be read alone; after the head where none is given."""
        return self._core.account(address, record)

    def source(self, record: BlockRecord) -> Source:
        """The pool's answers as they are worth after a block."""
        return self._core.source(record)

    def next_nonce(self, sender: Address) -> int:
        """The nonce of the sender's next transaction, those in the mempool counted."""
        return self._core.next_nonce(sender)

    # -- transactions

    def decode_transaction(self, raw: bytes) -> SignedTransactionAPI:
        """Decode a signed transaction of any type.

        Raises:
            TransactionRejected: it is not one.
        """
        return decode_transaction(raw)

    def send(self, transaction: SignedTransactionAPI) -> bytes:
        """Take a transaction into the mempool, pre-execute it, and return its hash.

        With automining it is in a block when this returns, unless it waits for an inference (see
        ``send_waits``).

        Raises:
            TransactionRejected: it can never be in a block, or the mempool has no room.
            InferenceUnavailable: the inference pool is full, or what it waited for here did not come.
        """
        return self._admission.send(transaction)

    def readmit(self) -> None:
        """Take in what waited for a block when the chain was open last; once those who answer are there."""
        self._admission.readmit()

    def wait_for(self, transaction_hash: bytes, seconds: float) -> Inclusion | None:
        """Wait until a transaction is in a block; ``None`` where it still waits after that time.

        Raises:
            InferenceUnavailable: it was evicted for want of an inference.
            TransactionRejected: it was evicted for another reason.
        """
        return self._admission.wait_for(transaction_hash, seconds)

    def wait_for_change(self, seen: int, seconds: float) -> int:
        """Wait until something is new since change ``seen``, or for so long; the last change's number."""
        return self._core.wait_for_change(seen, seconds)

    @property
    def is_closed(self) -> bool:
        """Whether the chain has stopped."""
        return self._core.closed.is_set()

    # -- blocks

    @property
    def mining(self) -> Mining:
        """When blocks are made."""
        return self._miner.mode

    @property
    def block_time(self) -> float | None:
        """Seconds between blocks; ``None`` where they are not made at intervals."""
        return self._miner.block_time if self._miner.mode is Mining.INTERVAL else None

    def pending_record(self) -> BlockRecord:
        """The block that would be made now, with what is ready; it is in no history."""
        return self._miner.pending()

    def mine(self, count: int = 1, interval: int = 0) -> BlockRecord:
        """Make blocks now, whatever is ready in the first; ``interval`` seconds apart where it is not 0."""
        return self._miner.mine(count, interval)

    def set_automine(self, enabled: bool) -> None:
        """Make a block as soon as a transaction is ready, or only on demand."""
        self._miner.set_automine(enabled)

    def set_interval(self, seconds: float) -> None:
        """Make a block every so many seconds; 0 makes them on demand."""
        self._miner.set_interval(seconds)

    # -- development methods

    def increase_time(self, seconds: int) -> int:
        """Move the clock forward; the whole offset in seconds."""
        with self.lock:
            self._core.clock.offset += seconds
            return self._core.clock.offset

    def set_next_timestamp(self, timestamp: int) -> None:
        """The time of the next block; the clock goes on from there.

        Raises:
            RpcError: it is not after the head.
        """
        with self.lock:
            self._core.clock.set_next(timestamp, self.head.header)

    def set_state(self, change: Callable[[StateAPI], None]) -> None:
        """Change the state after the head without a transaction. No full node can import what follows."""
        with self.lock:
            head = self.head
            state = self.state(head)
            change(state)
            state.persist()
            self.history.set_state_root(state.state_root)

    def dump_state(self) -> bytes:
        """The state after the head, as a file that :meth:`load_state` and anvil take."""
        # No lock: it may take long, and a state never changes.
        head = self.head
        return dump_state(self.database, head.state_root, head.header)

    def load_state(self, packed: bytes) -> None:
        """Write the accounts of a dump into the state after the head; the clock is past the dump's then.

        No full node can import what follows.

        Raises:
            DumpError: it is no dump.
        """
        dump = Dump.read(packed)
        with self.lock:
            self.set_state(dump.apply)
            if dump.block is not None:
                self._core.clock.go_past(dump.block.timestamp)

    def mark_start(self) -> None:
        """Let :meth:`reset` go back to here: what came before is the node's own."""
        self._snapshots.mark_start()

    def reset(self) -> None:
        """Go back to the start, without snapshots, pending transactions and answers."""
        self._snapshots.reset()

    def set_interval_of_timestamps(self, seconds: int | None) -> None:
        """Let each block be so many seconds after its parent; ``None``: as the clock says."""
        with self.lock:
            self._core.clock.interval = seconds

    @property
    def departures(self) -> Departures:
        """What the next block has against the rules; use it under :attr:`lock`."""
        return self._core.departures

    @property
    def impersonation(self) -> Impersonation:
        """Whose transactions are taken unsigned; use it under :attr:`lock`."""
        return self._core.impersonation

    def drop(self, transaction_hash: bytes) -> bool:
        """Drop a pending transaction; ``False`` where there is none."""
        with self.lock:
            return self._admission.drop(transaction_hash)

    def snapshot(self) -> int:
        """Remember the chain and the mempool; the snapshot's number."""
        return self._snapshots.take()

    def revert(self, number: int) -> bool:
        """Go back to a snapshot, which is then used up, as are those after it; ``False`` where there is none.

        Answers of operators stay: they depend on model and input alone.
        """
        return self._snapshots.revert(number)
