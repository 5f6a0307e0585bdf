"""Runs scheduled workflows, as OpenGradient's chain does by itself: here by transactions like any other."""

import threading
from dataclasses import dataclass
from typing import Any, Final

import structlog
from eth_abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils import keccak
from web3.exceptions import ContractLogicError, Web3RPCError
from web3.types import BlockNumber, Wei

from foretell_cli.devnet import POCKET_MONEY, Devnet, dev_key
from foretell_contracts import load
from foretell_evm.opengradient.addresses import SCHEDULER
from foretell_spec.addresses import ZERO_ADDRESS

log = structlog.get_logger(__name__)

GAS: Final = 10_000_000
"""Most gas of one run."""
_POLL_SECONDS: Final = 1.0
"""Time passes on a chain without blocks too."""
_STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """What a user registered."""

    user: ChecksumAddress
    contract: ChecksumAddress

    @property
    def key(self) -> bytes:
        """By which TaskScheduler knows it."""
        return keccak(encode(["address", "address"], [self.user, self.contract]))


class WorkflowExecutor:
    """Sends ``TaskScheduler.execute`` for each task that is due, from an account of its own.

    A task is tried once each time that its frequency has passed, whether its run succeeds or not.
    """

    def __init__(self, devnet: Devnet) -> None:
        self._chain, self._w3 = devnet.chain, devnet.w3
        self._account: LocalAccount = Account.from_key(dev_key("workflow executor").to_bytes())
        if self._w3.eth.get_balance(self._account.address) < POCKET_MONEY // 2:
            devnet.fund(self._account.address, POCKET_MONEY)
        self._scheduler = self._w3.eth.contract(SCHEDULER, abi=load("TaskScheduler").abi)
        self._scanned = 0
        self._tasks: set[Task] = set()
        self._not_before: dict[Task, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workflows", daemon=True)

    def start(self) -> None:
        """Look after tasks in a thread until the chain stops."""
        self._thread.start()

    def close(self) -> None:
        """Stop, after the run under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        seen = 0
        while not self._stopped.is_set() and not self._chain.is_closed:
            seen = self._chain.wait_for_change(seen, _POLL_SECONDS)
            try:
                self.run_due()
            except Exception:  # a chain that goes back or stops meanwhile; the node goes on
                if not self._stopped.is_set() and not self._chain.is_closed:
                    log.exception("workflows_failed")

    def run_due(self) -> None:
        """Send a run of each task that is due."""
        self._find_tasks()
        for task in list(self._tasks):
            self._run_if_due(task)

    def _find_tasks(self) -> None:
        head = self._chain.head.number
        if head < self._scanned:  # the chain went back
            self._scanned = 0
            self._not_before.clear()
        found = self._scheduler.events.TaskRegistered().get_logs(
            from_block=BlockNumber(self._scanned), to_block=BlockNumber(head)
        )
        self._tasks |= {Task(event["args"]["user"], event["args"]["contractAddress"]) for event in found}
        self._scanned = head

    def _run_if_due(self, task: Task) -> None:
        user, _, end, frequency = self._scheduler.functions.tasks(task.key).call()
        now = int(self._chain.pending_header().timestamp)
        if user == ZERO_ADDRESS or now >= end:
            self._tasks.discard(task)
            return
        last = self._scheduler.functions.last_run(task.key).call()
        if now < self._not_before.get(task, 0) or (last and now - last < frequency):
            return
        self._not_before[task] = now + frequency
        try:
            self._send(self._scheduler.functions.execute(task.user, task.contract))
        except (ContractLogicError, Web3RPCError) as error:
            log.warning("workflow_not_run", contract=task.contract, reason=str(error))

    def _send(self, call: Any) -> None:
        eth, address = self._w3.eth, self._account.address
        transaction = call.build_transaction(
            {
                "from": address,
                "nonce": eth.get_transaction_count(address, "pending"),
                "gas": min(GAS, self._chain.config.gas_limit),
                "maxFeePerGas": Wei(2 * eth.gas_price),
                "maxPriorityFeePerGas": Wei(0),
            }
        )
        signed = self._account.sign_transaction(transaction)
        eth.send_raw_transaction(signed.raw_transaction)
