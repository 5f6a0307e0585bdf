"""The way of a transaction from its sender to the block builder: checked, pre-executed, waiting, ready."""

from collections.abc import Callable
from typing import Final

import structlog
from eth.abc import SignedTransactionAPI
from eth.constants import SECPK1_N
from eth_keys.exceptions import BadSignature
from eth_utils import ValidationError, to_checksum_address

from foretell_evm.builder import BuiltBlock
from foretell_evm.core import ChainCore
from foretell_evm.errors import InferenceUnavailable, TransactionRejected
from foretell_evm.execution import Invalid, Needs, least_gas
from foretell_evm.history import Inclusion
from foretell_evm.mempool import Entry, Eviction, Stage
from foretell_evm.vm import ForetellVM
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import NOT_OF_INFERENCE, Reason

log = structlog.get_logger(__name__)
_KNOWN_AT_ONCE: Final = NOT_OF_INFERENCE | {Reason.POOL_FULL, Reason.SENDER_LIMIT, Reason.PRICE}
"""Ends that a sender is told of as an error: they depend on nobody's answer."""


def decode_transaction(raw: bytes) -> SignedTransactionAPI:
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


def _validate_signature(transaction: SignedTransactionAPI) -> None:
    """Recover the sender, once for all: the transaction keeps it. No other check finds more."""
    if transaction.s > SECPK1_N // 2:
        raise TransactionRejected("invalid signature: s is in the upper half of the curve's order (EIP-2)")
    try:
        _ = transaction.sender
    except (BadSignature, ValidationError) as error:
        raise TransactionRejected(f"invalid signature: {error}") from None


class Admission:
    """Takes transactions in, has their inferences answered, and says when they are ready.

    Args:
        core: the chain.
        ready: called, without the lock, when a transaction has become ready.
    """

    def __init__(self, core: ChainCore, ready: Callable[[], None]) -> None:
        self._core = core
        self._ready = ready

    def send(self, transaction: SignedTransactionAPI) -> bytes:
        """Take a transaction into the mempool, pre-execute it, and return its hash.

        Raises:
            TransactionRejected: it can never be in a block, or the mempool has no room.
            InferenceUnavailable: the inference pool does not take its question, or what it waited for here
                did not come.
        """
        core = self._core
        self._take_in(transaction)
        refused = core.mempool.eviction(transaction.hash)
        if refused is not None and refused.reason in _KNOWN_AT_ONCE:
            # What comes of the inference is never an error here: that would depend on who is faster.
            self._raise_if_evicted(transaction.hash)
        if core.config.send_waits:
            self.wait_for(transaction.hash, core.config.send_waits)
        return bytes(transaction.hash)

    def _take_in(self, transaction: SignedTransactionAPI) -> None:
        core = self._core
        with core.lock:
            self._validate(transaction)
            core.mempool.expire()
            entry = core.mempool.add(transaction)
            core.announce()
        self.advance(entry)
        if entry.superseded is not None:
            entry.superseded.withdraw()
        core.save_pending()

    def readmit(self) -> None:
        """Take in what waited for a block when the node ended. What may no longer be in one is logged."""
        pending = self._core.pending
        for transaction in pending.left:
            try:
                self._take_in(transaction)
            except TransactionRejected as error:
                log.warning(
                    "pending_transaction_dropped", hash=f"0x{transaction.hash.hex()}", error=str(error)
                )
            with self._core.lock:
                pending.took_back(transaction.hash)
        self._core.save_pending()

    def wait_for(self, transaction_hash: bytes, seconds: float) -> Inclusion | None:
        """Wait until a transaction is in a block; ``None`` where it still waits after that time.

        Raises:
            InferenceUnavailable: it was evicted for want of an inference.
            TransactionRejected: it was evicted for another reason.
        """
        core = self._core
        with core.changed:
            core.changed.wait_for(lambda: self._is_settled(transaction_hash), seconds)
        self._raise_if_evicted(transaction_hash)
        return core.history.inclusion(transaction_hash)

    def _is_settled(self, transaction_hash: bytes) -> bool:
        core = self._core
        included = core.history.inclusion(transaction_hash) is not None
        return included or core.mempool.eviction(transaction_hash) is not None or core.closed.is_set()

    def _raise_if_evicted(self, transaction_hash: bytes) -> None:
        eviction = self._core.mempool.eviction(transaction_hash)
        if eviction is None:
            return
        if eviction.reason in NOT_OF_INFERENCE:
            raise TransactionRejected(eviction.detail)
        raise InferenceUnavailable(eviction.reason, eviction.detail)

    def _validate(self, transaction: SignedTransactionAPI) -> None:
        core = self._core
        if core.history.inclusion(transaction.hash) is not None:
            raise TransactionRejected("already known")
        if transaction.chain_id not in (None, core.config.chain_id):
            raise TransactionRejected(f"chain id {transaction.chain_id} is not {core.config.chain_id}")
        _validate_signature(transaction)
        self._validate_gas(transaction)
        account = core.account(transaction.sender)
        nonce, balance = account.nonce, account.balance
        if transaction.nonce < nonce:
            raise TransactionRejected(
                f"nonce too low: next nonce {nonce}, transaction nonce {transaction.nonce}"
            )
        cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
        if balance < cost:
            raise TransactionRejected(
                f"insufficient funds for gas * price + value: have {balance}, want {cost}"
            )

    def _validate_gas(self, transaction: SignedTransactionAPI) -> None:
        if transaction.gas < least_gas(transaction):
            raise TransactionRejected(f"intrinsic gas too low: {transaction.gas} < {least_gas(transaction)}")
        if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
            raise TransactionRejected(
                f"max priority fee per gas higher than max fee per gas: "
                f"{transaction.max_priority_fee_per_gas} > {transaction.max_fee_per_gas}"
            )
        limit = self._core.gas_limit
        if transaction.gas > limit:
            raise TransactionRejected(f"exceeds block gas limit: {transaction.gas} > {limit}")

    def advance(self, entry: Entry) -> None:
        """Pre-execute a transaction; then it is ready, waits for an inference, or is evicted."""
        core = self._core
        with core.lock:
            head, header = core.head, core.pending_header()
        outcome = core.executor.pre_execute(header, head, entry.transaction, core.source(head))
        if isinstance(outcome, Needs):
            self._ask(entry, outcome.job)
            return
        with core.lock:
            if core.mempool.get(entry.transaction.hash) is not entry:
                return
            if isinstance(outcome, Invalid) and not self._is_later(entry):
                self._evict(entry, Eviction(Reason.INVALID, outcome.message))
                return
            answers = () if isinstance(outcome, Invalid) else tuple(each.answer for each in outcome.used)
            bundles, most = sum(len(each.bundles) for each in answers), core.config.limits.bundles_per_block
            if bundles > most:
                self._evict(entry, Eviction(Reason.BLOCK_LIMIT, f"{bundles} bundles, of at most {most}"))
                return
            entry.stage, entry.job, entry.answers = Stage.READY, None, answers
            self._ready()

    def _is_later(self, entry: Entry) -> bool:
        """Whether others of the same sender come before it, and may change what is valid."""
        return bool(entry.transaction.nonce > self._core.account(entry.transaction.sender).nonce)

    def _ask(self, entry: Entry, job: InferenceJob) -> None:
        core = self._core
        with core.lock:
            if core.mempool.get(entry.transaction.hash) is not entry:
                return
            refusal = self._refusal(entry)
            if refusal is not None:
                self._evict(entry, refusal)
                return
            sender = to_checksum_address(entry.transaction.sender)
            try:
                entry.question = core.pool.ask(job, sender, lambda failure: self._answered(entry, failure))
            except InferenceUnavailable as error:
                self._evict(entry, Eviction(error.reason, error.detail))
                return
            entry.rounds += 1
            entry.stage, entry.job = Stage.WAITING, job

    def _refusal(self, entry: Entry) -> Eviction | None:
        """Why a transaction may not ask anything now, if it may not."""
        core, limits, sender = self._core, self._core.config.limits, entry.transaction.sender
        if entry.rounds >= limits.rounds:
            return Eviction(Reason.STALE, f"after {entry.rounds} questions")
        unlanded = core.mempool.unlanded(sender)
        if unlanded >= limits.unlanded_per_sender:
            detail = f"{unlanded} questions of the sender's transactions came to no block"
            return Eviction(
                Reason.PRICE, f"{detail}; one is forgiven every {limits.forgiven_every:g} seconds"
            )
        have, want = core.account(sender).balance, core.mempool.cost_up_to(entry)
        if have < want:
            return Eviction(
                Reason.PRICE, f"its transactions up to this one cost up to {want} wei, it has {have}"
            )
        return None

    def _answered(self, entry: Entry, failure: InferenceUnavailable | None) -> None:
        if failure is None:
            self.advance(entry)
            return
        core = self._core
        with core.lock:
            if core.mempool.get(entry.transaction.hash) is entry:
                self._evict(entry, Eviction(failure.reason, failure.detail))

    def _evict(self, entry: Entry, eviction: Eviction) -> None:
        self._core.mempool.evict(entry.transaction.hash, eviction)
        self._core.announce()

    def drop(self, transaction_hash: bytes) -> bool:
        """Drop a pending transaction; ``False`` where there is none. The caller holds the lock."""
        entry = self._core.mempool.get(transaction_hash)
        if entry is not None:
            self._evict(entry, Eviction(Reason.DROPPED, "by a development method"))
        return entry is not None

    def take_back(self, built: BuiltBlock) -> None:
        """Look after the ready transactions that a new block could not take. The caller holds the lock."""
        mempool = self._core.mempool
        mempool.expire()
        for transaction_hash, message in built.invalid.items():
            mempool.evict(transaction_hash, Eviction(Reason.INVALID, message))
        for transaction_hash, job in built.needing.items():
            entry = mempool.get(transaction_hash)
            if entry is not None:
                self._ask(entry, job)
