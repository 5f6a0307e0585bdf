"""The chain as the relayer needs it: a small protocol, and its implementation on web3.py over JSON-RPC."""

from collections.abc import Awaitable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Protocol, TypeVar

import aiohttp
from eth_typing import ChecksumAddress
from eth_utils import to_checksum_address
from hexbytes import HexBytes
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import (
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3Exception,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers.rpc.utils import REQUEST_RETRY_ALLOWLIST, ExceptionRetryConfiguration
from web3.types import FilterParams, TxParams

from foretell_contracts import load
from foretell_relayer.core import Status, View
from foretell_relayer.errors import NotSettlement, RpcRefused, RpcUnreachable, WouldRevert
from foretell_relayer.records import BlockRef
from foretell_relayer.redact import Redactor
from foretell_relayer.watch.ranges import Ranges
from foretell_spec.errors import SpecError
from foretell_spec.settlement import STORY, Delivery, Request

T = TypeVar("T")
WATCHED: Final = (
    "Requested",
    "ReceiptSettled",
    "Delivered",
    "Challenged",
    "Finalised",
    "Expired",
    "Undetermined",
    "Cancelled",
)
"""Events that start a request or move it on. The others follow from these."""

MESSAGE_LIMIT: Final = 300
_ASKED_AGAIN: Final = [method for method in REQUEST_RETRY_ALLOWLIST if method != "eth_sendRawTransaction"]
"""Questions that are asked again at once, since one look at the chain takes ten of them. Sends never are:
what became of them is found by hash.
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block; ``base_fee`` in wei, zero on chains without one."""

    ref: BlockRef
    timestamp: int
    base_fee: int


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event of Settlement."""

    name: str
    block: BlockRef
    args: dict[str, Any]

    @property
    def request_id(self) -> bytes:
        """The request that it is about."""
        return bytes(self.args["request_id"])


@dataclass(frozen=True, slots=True)
class TransactionReceipt:
    """Where a transaction was included, and whether it did what it should; ``gas_price``, in wei, is for the
    ledger alone: not every node tells it.
    """

    block: BlockRef
    success: bool
    gas_used: int
    gas_price: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an operator has in the contracts, in wei: its bond, how much of it is locked, and its credit."""

    bond: int
    locked: int
    credit: int


class Chain(Protocol):
    """What the relayer asks of a node. Every method raises ``RpcError``."""

    settlement: ChecksumAddress

    def health(self) -> dict[str, bool]:
        """Which nodes are asked, by their names for people; empty where there is one alone."""
        ...

    async def chain_id(self) -> int:
        """The chain's id."""
        ...

    async def head(self) -> Head:
        """The newest block."""
        ...

    async def block(self, number: int) -> BlockRef | None:
        """The block of this number in the chain as it is now."""
        ...

    async def events(self, first: int, last: int) -> list[Event]:
        """Settlement's events in these blocks (inclusive), in order."""
        ...

    async def view(self, request_id: bytes, since: int, block: int | None = None) -> View:
        """What Settlement says of a request, now or at the end of a block.

        Its events since block ``since``, in which it was opened, tell what the contract keeps a hash of.
        """
        ...

    async def structs(self, request_id: bytes, since: int) -> tuple[Request, Delivery]:
        """What Settlement takes to move a request on, rebuilt from its events since block ``since``."""
        ...

    async def free_bond(self, operator: ChecksumAddress) -> int:
        """Wei that a delivery of this operator may lock now."""
        ...

    async def signer_of(self, operator: ChecksumAddress) -> ChecksumAddress:
        """The registered key of an operator, zero where none is active."""
        ...

    async def dispute_bond(self) -> int:
        """Wei that each side of a dispute stakes."""
        ...

    async def standing(self, operator: ChecksumAddress) -> Standing:
        """What an operator has in the contracts."""
        ...

    async def is_open(self, model_id: bytes) -> bool:
        """Whether a model is registered and takes requests."""
        ...

    def calldata(self, function: str, arguments: Sequence[Any]) -> bytes:
        """Calldata of one of Settlement's functions."""
        ...

    async def nonce(self, sender: ChecksumAddress) -> int:
        """Number of the sender's transactions in the newest block."""
        ...

    async def balance(self, account: ChecksumAddress) -> int:
        """Wei of an account."""
        ...

    async def trial(self, sender: ChecksumAddress, data: bytes, gas: int) -> None:
        """Simulate a call of Settlement with a gas limit.

        Raises:
            WouldRevert: it would revert.
        """
        ...

    async def estimate(self, sender: ChecksumAddress, data: bytes) -> int:
        """Gas that a call of Settlement would take now.

        Raises:
            WouldRevert: it would revert.
        """
        ...

    async def send(self, raw: bytes) -> None:
        """Hand a signed transaction to the node."""
        ...

    async def receipt(self, tx_hash: bytes) -> TransactionReceipt | None:
        """A transaction's receipt, ``None`` while it is in no block."""
        ...

    async def is_known(self, tx_hash: bytes) -> bool:
        """Whether the node has the transaction, in a block or waiting for one."""
        ...


class Web3Chain:
    """A chain behind a JSON-RPC URL. Its errors contain neither the URL's credentials nor its path."""

    def __init__(self, url: str, settlement: ChecksumAddress, timeout: float = 20.0) -> None:
        request = {"timeout": aiohttp.ClientTimeout(timeout)}
        self._timeout = timeout
        again = ExceptionRetryConfiguration((aiohttp.ClientError,), 3, 0.05, _ASKED_AGAIN)
        self._provider = AsyncHTTPProvider(url, request_kwargs=request, exception_retry_configuration=again)
        self._w3: AsyncWeb3[Any] = AsyncWeb3(self._provider)
        self._w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self._redact = Redactor(url)
        self.settlement = settlement
        self._contract = self._w3.eth.contract(address=settlement, abi=load("Settlement").abi)
        names = {*WATCHED, *STORY}
        self._topics = {bytes(HexBytes(self._contract.events[name]().topic)): name for name in names}
        self._ranges = Ranges()
        self._operators: Any = None
        self._models: Any = None

    async def close(self) -> None:
        """Close the connections."""
        await self._provider.disconnect()

    async def connect(self) -> None:
        """Find the contracts that Settlement names.

        Raises:
            NotSettlement: there is no Settlement here.
        """
        code = await self._ask(self._w3.eth.get_code(self.settlement))
        if not code:
            raise NotSettlement(f"{self.settlement} has no code on this chain")
        operators = await self._named("operator_registry")
        models = await self._named("model_registry")
        self._operators = self._w3.eth.contract(address=operators, abi=load("OperatorRegistry").abi)
        self._models = self._w3.eth.contract(address=models, abi=load("ModelRegistry").abi)

    async def _named(self, getter: str) -> ChecksumAddress:
        """A contract that Settlement names. A node that is in trouble is no reason to doubt Settlement."""
        call: TxParams = {"to": self.settlement, "data": self._contract.encode_abi(getter, [])}
        try:
            answer = bytes(await self._ask(self._w3.eth.call(call)))
        except WouldRevert:
            answer = b""
        if len(answer) != 32 or any(answer[:12]):
            raise NotSettlement(f"{self.settlement} does not answer like Settlement")
        return to_checksum_address(answer[12:])

    def health(self) -> dict[str, bool]:
        return {}

    async def chain_id(self) -> int:
        return int(await self._ask(self._w3.eth.chain_id))

    async def head(self) -> Head:
        try:
            block = await self._ask(self._w3.eth.get_block("latest"))
        except BlockNotFound:
            raise RpcRefused("the node has no newest block") from None
        return Head(_ref(block), int(block["timestamp"]), int(block.get("baseFeePerGas", 0)))

    async def block(self, number: int) -> BlockRef | None:
        try:
            return _ref(await self._ask(self._w3.eth.get_block(number)))
        except BlockNotFound:
            return None

    async def events(self, first: int, last: int) -> list[Event]:
        return await self._events(WATCHED, first, last)

    async def _events(
        self, names: Collection[str], first: int, last: int, request_id: bytes | None = None
    ) -> list[Event]:
        topics: list[Any] = [[HexBytes(topic) for topic, name in self._topics.items() if name in names]]
        if request_id is not None:
            topics.append(HexBytes(request_id))
        query: FilterParams = {
            "address": self.settlement,
            "fromBlock": first,
            "toBlock": last,
            "topics": topics,
        }
        logs = await self._ask(self._w3.eth.get_logs(query))
        events = [
            self._event(entry) for entry in sorted(logs, key=lambda e: (e["blockNumber"], e["logIndex"]))
        ]
        if any(event.name not in names or request_id not in (None, event.request_id) for event in events):
            raise RpcRefused("the node returned logs that nobody asked for")
        return events

    def _event(self, entry: Any) -> Event:
        name = self._topics.get(bytes(entry["topics"][0])) if entry["topics"] else None
        first = entry["address"] == self.settlement and not entry.get("removed", False)
        if name is None or not first:
            raise RpcRefused("the node returned logs that nobody asked for")
        try:
            decoded = self._contract.events[name]().process_log(entry)
        except (Web3Exception, ValueError) as error:
            raise RpcRefused(f"the node returned a malformed log: {self._text(error)}") from None
        return Event(name, BlockRef(entry["blockNumber"], bytes(entry["blockHash"])), dict(decoded["args"]))

    async def view(self, request_id: bytes, since: int, block: int | None = None) -> View:
        last = block if block is not None else int(await self._ask(self._w3.eth.block_number))
        state = await self._state(request_id, last)
        status, delivery = Status(state["status"]), Delivery()
        if status in (Status.DELIVERED, Status.DISPUTED, Status.FINAL):
            delivery = _delivery(await self._story(request_id, since, last), state["commitment"])
        return View(
            status=status,
            operator=delivery.operator,
            output_hash=delivery.output_hash,
            delivered_at=delivery.delivered_at,
            challenger=delivery.challenger,
            disputed_at=delivery.disputed_at,
        )

    async def structs(self, request_id: bytes, since: int) -> tuple[Request, Delivery]:
        last = int(await self._ask(self._w3.eth.block_number))
        state = await self._state(request_id, last)
        events = await self._story(request_id, since, last)
        if not events:
            raise RpcRefused("the node has no event of a request that it knew")
        try:
            request = Request.from_event(events[0].name, events[0].args)
        except (SpecError, KeyError) as error:
            raise RpcRefused(f"the node's events of a request make no sense: {self._text(error)}") from None
        return request, _delivery(events, state["commitment"])

    async def _state(self, request_id: bytes, block: int) -> dict[str, int]:
        call = self._contract.functions.state_of(request_id)
        return dict(zip(_state_fields(), await self._ask(call.call(block_identifier=block)), strict=True))

    async def _story(self, request_id: bytes, first: int, last: int) -> list[Event]:
        """All events of a request from which its structs follow.

        A node may tell in any way that it was asked for too many blocks, by breaking off too: each failure is
        taken for that, as it is when blocks are watched.
        """
        events: list[Event] = []
        while first <= last:
            begin, end = self._ranges.next(first, last)
            try:
                events += await self._events(STORY, begin, end, request_id)
            except (RpcRefused, RpcUnreachable):
                if not self._ranges.failed():
                    raise
                continue
            self._ranges.succeeded()
            first = end + 1
        return events

    async def free_bond(self, operator: ChecksumAddress) -> int:
        return int(await self._ask(self._operators.functions.free_bond(operator).call()))

    async def signer_of(self, operator: ChecksumAddress) -> ChecksumAddress:
        signer: ChecksumAddress = await self._ask(self._operators.functions.signer_of(operator).call())
        return signer

    async def dispute_bond(self) -> int:
        return int(await self._ask(self._contract.functions.dispute_bond().call()))

    async def standing(self, operator: ChecksumAddress) -> Standing:
        info = await self._ask(self._operators.functions.operator_info(operator).call())
        _, bond, locked, *_ = info
        credit = await self._ask(self._contract.functions.credit_of(operator).call())
        return Standing(int(bond), int(locked), int(credit))

    async def is_open(self, model_id: bytes) -> bool:
        return bool(await self._ask(self._models.functions.is_open(model_id).call()))

    def calldata(self, function: str, arguments: Sequence[Any]) -> bytes:
        return bytes(HexBytes(self._contract.encode_abi(function, list(arguments))))

    async def nonce(self, sender: ChecksumAddress) -> int:
        return int(await self._ask(self._w3.eth.get_transaction_count(sender, "latest")))

    async def balance(self, account: ChecksumAddress) -> int:
        return int(await self._ask(self._w3.eth.get_balance(account)))

    async def trial(self, sender: ChecksumAddress, data: bytes, gas: int) -> None:
        call: TxParams = {"from": sender, "to": self.settlement, "data": HexBytes(data), "gas": gas}
        await self._ask(self._w3.eth.call(call))

    async def estimate(self, sender: ChecksumAddress, data: bytes) -> int:
        call: TxParams = {"from": sender, "to": self.settlement, "data": HexBytes(data)}
        return int(await self._ask(self._w3.eth.estimate_gas(call)))

    async def send(self, raw: bytes) -> None:
        await self._ask(self._w3.eth.send_raw_transaction(HexBytes(raw)))

    async def receipt(self, tx_hash: bytes) -> TransactionReceipt | None:
        try:
            found = await self._ask(self._w3.eth.get_transaction_receipt(HexBytes(tx_hash)))
        except TransactionNotFound:
            return None
        block = BlockRef(found["blockNumber"], bytes(found["blockHash"]))
        price = int(found.get("effectiveGasPrice", 0))
        return TransactionReceipt(block, found["status"] == 1, found["gasUsed"], price)

    async def is_known(self, tx_hash: bytes) -> bool:
        try:
            await self._ask(self._w3.eth.get_transaction(HexBytes(tx_hash)))
        except TransactionNotFound:
            return False
        return True

    async def _ask(self, answer: Awaitable[T]) -> T:
        """Await an answer, and turn every way to fail into an error of ours."""
        try:
            return await answer
        except (BlockNotFound, TransactionNotFound):
            raise
        except ContractLogicError as error:
            raise WouldRevert(_reason(error)) from None
        except (aiohttp.ClientResponseError, Web3RPCError) as error:
            raise RpcRefused(f"the node answered: {self._text(error)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise RpcUnreachable(f"no answer from the node: {self._text(error)}") from None
        except (Web3Exception, ValueError, KeyError, TypeError) as error:
            raise RpcRefused(f"the node's answer makes no sense: {self._text(error)}") from None

    def _text(self, error: BaseException) -> str:
        if isinstance(error, Web3RPCError) and isinstance(error.rpc_response, dict):
            answer: Any = error.rpc_response.get("error")
            text = str(answer.get("message", answer) if isinstance(answer, dict) else answer)
        elif isinstance(error, TimeoutError):
            text = f"nothing within {self._timeout:g} s"
        elif isinstance(error, aiohttp.ClientResponseError):
            text = f"HTTP status {error.status}"
        else:
            text = str(error) or type(error).__name__
        return self._redact(text)[:MESSAGE_LIMIT]


@cache
def _state_fields() -> tuple[str, ...]:
    abi = next(entry for entry in load("Settlement").abi if entry.get("name") == "state_of")
    return tuple(component["name"] for component in abi["outputs"][0]["components"])


def _delivery(events: Iterable[Event], commitment: int) -> Delivery:
    """The delivery that events lead to, which the contract must have a hash of; zero: of none."""
    delivery = Delivery.from_events((event.name, event.args) for event in events)
    if commitment not in (0, delivery.commitment):
        raise RpcRefused("the node's events of a request are not those that the contract has a hash of")
    return delivery


def _ref(block: Any) -> BlockRef:
    return BlockRef(int(block["number"]), bytes(block["hash"]))


def _reason(error: ContractLogicError) -> str:
    text = (error.message or str(error)).removeprefix("execution reverted: ")
    return text.removeprefix("execution reverted").strip(" :") or "no reason given"
