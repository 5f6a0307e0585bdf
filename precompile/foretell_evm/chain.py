"""The chain: accounts, mempool, inference pool, builder and history behind one thread-safe object.

``ForetellChain.create(config, operators)`` starts one in memory; ``rpc(method, params)`` is what both
JSON-RPC doors call. Nothing that builds a block waits for an inference: transactions wait in the pool.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from eth.abc import BlockHeaderAPI, SignedTransactionAPI, StateAPI
from eth.chains.base import Chain
from eth_typing import Address, ChecksumAddress
from eth_utils import ValidationError, to_checksum_address

from foretell_evm.accounts import DevAccount, dev_accounts
from foretell_evm.answers import PoolSource
from foretell_evm.blocks import BlockRecord, next_header
from foretell_evm.builder import BlockBuilder, BuiltBlock
from foretell_evm.calls import CallRunner
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.errors import (
    InferenceUnavailable,
    RpcError,
    TransactionRejected,
)
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.execution import (
    Executor,
    Invalid,
    Needs,
)
from foretell_evm.genesis import create_chain
from foretell_evm.history import History, Inclusion
from foretell_evm.inference_pool import InferencePool
from foretell_evm.mempool import Entry, Eviction, Mempool, Stage
from foretell_evm.resolution import Source
from foretell_evm.system_calls import SystemCallError, signer_of
from foretell_evm.vm import ForetellVM
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.operator import InferenceJob, Operator
from foretell_spec.reasons import Reason


@dataclass(frozen=True, slots=True)
class _Snapshot:
    records: tuple[BlockRecord, ...]
    pending: tuple[SignedTransactionAPI, ...]
    time_offset: int


class ForetellChain:
    """A development chain. Use :meth:`create`; close it, or use it as a context manager."""

    def __init__(self, config: ChainConfig, chain: Chain, genesis: BlockHeaderAPI) -> None:
        self.config = config
        self.accounts: tuple[DevAccount, ...] = dev_accounts(config.mnemonic, config.accounts)
        self._chain = chain
        self._executor = Executor(chain)
        self._checker = EvidenceChecker(config.chain_id)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._snapshots: dict[int, _Snapshot] = {}
        self._snapshot_count = 0
        self._time_offset = 0
        self._next_timestamp: int | None = None
        self._mining = config.mining
        self._block_time = config.block_time
        self._mempool = Mempool(config.limits)
        self._pool = InferencePool(self._check_at_head, self._is_bonded, config.limits)
        self._closed = threading.Event()
        self._interval_thread: threading.Thread | None = None
        self._rpc: Callable[[str, Sequence[Any]], Any] | None = None
        block = ForetellVM.get_block_class()(genesis, transactions=[], uncles=[], withdrawals=[])
        self.history = History(BlockRecord(block, (), (), (), genesis.state_root))
        self.calls = CallRunner(self, self._executor, self._pool, config.call_waits)

    # -- life

    @classmethod
    def create(cls, config: ChainConfig | None = None, operators: Sequence[Operator] = ()) -> Self:
        """Start a chain in memory, with operators in this process; each needs a bond as well.

        Raises:
            ConfigError: the configuration makes no chain.
        """
        config = config or ChainConfig()
        started = int(time.time()) if config.genesis_time is None else config.genesis_time
        chain = cls(config, *create_chain(config, started))
        for operator in operators:
            chain.add_operator(operator)
        if config.mining is Mining.INTERVAL:
            chain.set_interval(config.block_time)
        return chain

    def close(self) -> None:
        """Stop mining and asking operators."""
        self._closed.set()
        with self._lock:
            self._changed.notify_all()
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_operator(self, operator: Operator) -> None:
        """Let an operator answer from now on. Its bond and signer are what OperatorRegistry says."""
        self._pool.add_operator(operator)

    def remove_operator(self, address: ChecksumAddress) -> None:
        """Ask an operator no more."""
        self._pool.remove_operator(address)

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
        return self._pool

    @property
    def mempool(self) -> Mempool:
        """The mempool; read it under :attr:`lock`."""
        return self._mempool

    @property
    def lock(self) -> threading.RLock:
        """Held by whoever changes the chain or the mempool."""
        return self._lock

    @property
    def head(self) -> BlockRecord:
        """The last block."""
        return self.history.head

    # -- states

    def pending_header(self) -> BlockHeaderAPI:
        """The header that the next block would start from now."""
        with self._lock:
            return next_header(self.head.header, self._next_time(), self.config.coinbase)

    def state(self, record: BlockRecord | None = None) -> StateAPI:
        """A throw-away state after a block; after the head where none is given."""
        record = record or self.head
        return self._executor.state_at(record.header, record.state_root)

    def source(self, record: BlockRecord) -> Source:
        """The pool's answers as they are worth after a block."""
        return PoolSource(self._pool, self._checker, self.state(record))

    def _check_at_head(self, bundle: Bundle) -> Assurance:
        return self._checker.check(bundle, self.state())

    def _is_bonded(self, operator: ChecksumAddress) -> bool:
        try:
            return signer_of(self.state(), operator) is not None
        except SystemCallError:
            return False

    def next_nonce(self, sender: Address) -> int:
        """The nonce of the sender's next transaction, those in the mempool counted."""
        with self._lock:
            return self._mempool.next_nonce(sender, self.state().get_nonce(sender))

    # -- transactions

    def decode_transaction(self, raw: bytes) -> SignedTransactionAPI:
        """Decode a signed transaction of any type.

        Raises:
            TransactionRejected: it is not one.
        """
        try:
            transaction: SignedTransactionAPI = ForetellVM.get_transaction_builder().decode(raw)
            transaction.validate()
        except Exception as error:  # noqa: BLE001 - py-evm raises half a dozen classes for malformed bytes
            raise TransactionRejected(f"not a signed transaction: {error}") from None
        return transaction

    def send(self, transaction: SignedTransactionAPI) -> bytes:
        """Take a transaction into the mempool, pre-execute it, and return its hash.

        With automining it is in a block when this returns, unless it waits for an inference (see
        ``send_waits``).

        Raises:
            TransactionRejected: it can never be in a block, or the mempool has no room.
            InferenceUnavailable: the inference pool is full, or what it waited for here did not come.
        """
        with self._lock:
            self._validate(transaction)
            entry = self._mempool.add(transaction)
        self._advance(entry)
        refused = self._mempool.eviction(transaction.hash)
        if refused is not None and refused.reason in (None, Reason.POOL_FULL):
            # What comes of the inference is never an error here: that would depend on who is faster.
            self._raise_if_evicted(transaction.hash)
        if self.config.send_waits:
            self.wait_for(transaction.hash, self.config.send_waits)
        return bytes(transaction.hash)

    def wait_for(self, transaction_hash: bytes, seconds: float) -> Inclusion | None:
        """Wait until a transaction is in a block; ``None`` where it still waits after that time.

        Raises:
            InferenceUnavailable: it was evicted for want of an inference.
            TransactionRejected: it was evicted for another reason.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_settled(transaction_hash), seconds)
        self._raise_if_evicted(transaction_hash)
        return self.history.inclusion(transaction_hash)

    def _is_settled(self, transaction_hash: bytes) -> bool:
        included = self.history.inclusion(transaction_hash) is not None
        return included or self._mempool.eviction(transaction_hash) is not None or self._closed.is_set()

    def _raise_if_evicted(self, transaction_hash: bytes) -> None:
        eviction = self._mempool.eviction(transaction_hash)
        if eviction is None:
            return
        if eviction.reason is None:
            raise TransactionRejected(eviction.detail)
        raise InferenceUnavailable(eviction.reason, eviction.detail)

    def _validate(self, transaction: SignedTransactionAPI) -> None:
        if self.history.inclusion(transaction.hash) is not None:
            raise TransactionRejected("already known")
        if transaction.chain_id not in (None, self.config.chain_id):
            raise TransactionRejected(f"chain id {transaction.chain_id} is not {self.config.chain_id}")
        try:
            transaction.check_signature_validity()
        except ValidationError as error:
            raise TransactionRejected(f"invalid signature: {error}") from None
        if transaction.gas < transaction.intrinsic_gas:
            raise TransactionRejected(
                f"intrinsic gas too low: {transaction.gas} < {transaction.intrinsic_gas}"
            )
        if transaction.gas > self.head.header.gas_limit:
            raise TransactionRejected(
                f"exceeds block gas limit: {transaction.gas} > {self.head.header.gas_limit}"
            )
        state = self.state()
        nonce, balance = state.get_nonce(transaction.sender), state.get_balance(transaction.sender)
        if transaction.nonce < nonce:
            raise TransactionRejected(
                f"nonce too low: next nonce {nonce}, transaction nonce {transaction.nonce}"
            )
        cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
        if balance < cost:
            raise TransactionRejected(
                f"insufficient funds for gas * price + value: have {balance}, want {cost}"
            )

    def _advance(self, entry: Entry) -> None:
        """Pre-execute a transaction; then it is ready, waits for an inference, or is evicted."""
        with self._lock:
            head, header = self.head, self.pending_header()
        outcome = self._executor.pre_execute(header, head.state_root, entry.transaction, self.source(head))
        if isinstance(outcome, Needs):
            self._ask(entry, outcome.job)
            return
        with self._lock:
            if self._mempool.get(entry.transaction.hash) is not entry:
                return
            if isinstance(outcome, Invalid) and not self._is_later(entry):
                self._evict(entry, Eviction(None, outcome.message))
                return
            entry.stage, entry.job = Stage.READY, None
            if self._mining is Mining.AUTO:
                self._mine_ready()

    def _is_later(self, entry: Entry) -> bool:
        """Whether others of the same sender come before it, and may change what is valid."""
        return bool(entry.transaction.nonce > self.state().get_nonce(entry.transaction.sender))

    def _ask(self, entry: Entry, job: InferenceJob) -> None:
        with self._lock:
            if self._mempool.get(entry.transaction.hash) is not entry:
                return
            entry.rounds += 1
            if entry.rounds > self.config.limits.rounds:
                self._evict(entry, Eviction(Reason.STALE, f"after {entry.rounds - 1} rounds"))
                return
            entry.stage, entry.job = Stage.WAITING, job
        sender = to_checksum_address(entry.transaction.sender)
        try:
            self._pool.ask(job, sender, lambda failure: self._answered(entry, failure))
        except InferenceUnavailable as error:
            self._answered(entry, error)

    def _answered(self, entry: Entry, failure: InferenceUnavailable | None) -> None:
        if failure is None:
            self._advance(entry)
            return
        with self._lock:
            if self._mempool.get(entry.transaction.hash) is entry:
                self._evict(entry, Eviction(failure.reason, failure.detail))

    def _evict(self, entry: Entry, eviction: Eviction) -> None:
        self._mempool.evict(entry.transaction.hash, eviction)
        self._changed.notify_all()

    # -- blocks

    def mine(self, count: int = 1, interval: int = 0) -> BlockRecord:
        """Make blocks now, whatever is ready in the first; ``interval`` seconds apart where it is not 0."""
        with self._lock:
            for index in range(count):
                if interval and index:
                    self._next_timestamp = self.head.header.timestamp + interval
                self._build()
            return self.head

    def _mine_ready(self) -> None:
        """Make blocks until no ready transaction can be in one."""
        while self._candidates():
            built = self._build()
            if not built.record.block.transactions:
                return

    def _candidates(self) -> list[SignedTransactionAPI]:
        state, base_fee = self.state(), self.pending_header().base_fee_per_gas or 0
        ready = self._mempool.ready(state.get_nonce, base_fee)
        return [transaction for transaction in ready if transaction.max_fee_per_gas >= base_fee]

    def _build(self) -> BuiltBlock:
        parent, header = self.head, self.pending_header()
        builder = BlockBuilder(
            self._chain, header, parent.state_root, self.source(parent), self.config.limits.bundles_per_block
        )
        built = builder.build(self._candidates())
        self._next_timestamp = None
        for transaction in built.record.block.transactions:
            self._mempool.remove(transaction.hash)
        self.history.append(built.record, built.computations)
        self._handle_left_out(built)
        self._changed.notify_all()
        return built

    def _handle_left_out(self, built: BuiltBlock) -> None:
        for transaction_hash, message in built.invalid.items():
            self._mempool.evict(transaction_hash, Eviction(None, message))
        for transaction_hash, job in built.needing.items():
            entry = self._mempool.get(transaction_hash)
            if entry is not None:
                self._ask(entry, job)

    def _next_time(self) -> int:
        if self._next_timestamp is not None:
            return self._next_timestamp
        return int(max(self.head.header.timestamp + 1, int(time.time()) + self._time_offset))

    # -- development methods

    @property
    def mining(self) -> Mining:
        """When blocks are made."""
        return self._mining

    def set_automine(self, enabled: bool) -> None:
        """Make a block as soon as a transaction is ready, or only on demand."""
        with self._lock:
            self._mining = Mining.AUTO if enabled else Mining.MANUAL
            if enabled:
                self._mine_ready()

    def set_interval(self, seconds: float) -> None:
        """Make a block every so many seconds; 0 makes them on demand."""
        with self._lock:
            self._mining = Mining.INTERVAL if seconds > 0 else Mining.MANUAL
            self._block_time = seconds
            if seconds > 0 and self._interval_thread is None:
                self._interval_thread = threading.Thread(
                    target=self._mine_at_intervals, name="miner", daemon=True
                )
                self._interval_thread.start()

    def _mine_at_intervals(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._block_time, time.monotonic())
            if self._closed.wait(due - time.monotonic()):
                return
            with self._lock:
                if self._mining is not Mining.INTERVAL:
                    self._interval_thread = None
                    return
                self._build()

    def increase_time(self, seconds: int) -> int:
        """Move the clock forward; the whole offset in seconds."""
        with self._lock:
            self._time_offset += seconds
            return self._time_offset

    def set_next_timestamp(self, timestamp: int) -> None:
        """The time of the next block; the clock goes on from there.

        Raises:
            RpcError: it is not after the head.
        """
        with self._lock:
            if timestamp <= self.head.header.timestamp:
                raise RpcError(
                    -32602, f"timestamp {timestamp} is not after the head's {self.head.header.timestamp}"
                )
            self._next_timestamp = timestamp
            self._time_offset = timestamp - int(time.time())

    def set_state(self, change: Callable[[StateAPI], None]) -> None:
        """Change the state after the head without a transaction. No full node can import what follows."""
        with self._lock:
            head = self.head
            state = self.state(head)
            change(state)
            state.persist()
            self.history.replace_head(replace(head, state_root=state.state_root))

    def snapshot(self) -> int:
        """Remember the chain and the mempool; the snapshot's number."""
        with self._lock:
            self._snapshot_count += 1
            pending = tuple(entry.transaction for entry in self._mempool)
            self._snapshots[self._snapshot_count] = _Snapshot(
                self.history.records, pending, self._time_offset
            )
            return self._snapshot_count

    def revert(self, number: int) -> bool:
        """Go back to a snapshot, which is then used up, as are those after it; ``False`` where there is none.

        Answers of operators stay: they depend on model and input alone.
        """
        with self._lock:
            snapshot = self._snapshots.get(number)
            if snapshot is None:
                return False
            self._snapshots = {key: kept for key, kept in self._snapshots.items() if key < number}
            self._restore(snapshot)
        for transaction in snapshot.pending:
            with self._lock:
                entry = self._mempool.add(transaction)
            self._advance(entry)
        return True

    def _restore(self, snapshot: _Snapshot) -> None:
        self.history.restore(snapshot.records)
        self._mempool = Mempool(self.config.limits)
        self._time_offset, self._next_timestamp = snapshot.time_offset, None
        self._changed.notify_all()
