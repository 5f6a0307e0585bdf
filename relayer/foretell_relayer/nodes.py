"""Several nodes of one chain: asked for one another when one is down, and checked against each other.

What is the same for ever (blocks, their events, receipts, state at a block) has to be said by two nodes,
where two can be asked. What changes (the head, a nonce) is taken where most nodes already are. A node of
another chain, one that stands still, and one that most others contradict are put aside for a while.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import structlog
from eth_typing import ChecksumAddress

from foretell_relayer.chain import Chain, Event, Head, Standing, TransactionReceipt, Web3Chain
from foretell_relayer.core import View
from foretell_relayer.errors import (
    ChainChanged,
    NotSettlement,
    RelayError,
    RpcDisagreed,
    RpcError,
    RpcRefused,
    RpcUnreachable,
)
from foretell_relayer.records import BlockRef
from foretell_relayer.redact import public_url
from foretell_spec.settlement import Delivery, Request

log = structlog.get_logger(__name__)
T = TypeVar("T")

FAILURES: Final = 3
"""Failures in a row after which a node is put aside."""

PAUSE: Final = 60.0
"""Seconds for which a node that fails, or stands still, is put aside."""

DISTRUST: Final = 1800.0
"""Seconds for which a node is put aside that served another chain, or that two others contradicted."""

STALE_AFTER: Final = 60.0
"""Seconds without a new block, while others have some, after which a node is said to stand still."""


class Connected(Chain, Protocol):
    """A chain behind one URL."""

    async def connect(self) -> None:
        """Find the contracts that Settlement names."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(slots=True)
class Node:
    """One node, and how it has behaved. Times are of the monotonic clock."""

    label: str
    chain: Connected
    height: int = -1
    moved_at: float = 0.0
    failures: int = 0
    aside_until: float = 0.0
    distrusted: bool = False
    admitted: bool = False


class Nodes:
    """A ``Chain`` of several nodes, the preferred one first."""

    def __init__(
        self, nodes: Sequence[tuple[str, Connected]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._nodes = [Node(label, chain, moved_at=clock()) for label, chain in nodes]
        self._pinned: tuple[int, BlockRef | None] | None = None
        self.settlement: ChecksumAddress = nodes[0][1].settlement

    # ----------------------------------------------------------------------------------------- the Chain

    async def connect(self) -> None:
        """Pin the chain that most nodes serve, and find Settlement on it.

        Raises:
            NotSettlement: it is not there.
        """
        self._pinned = (await self.chain_id(), await self.block(0))
        await self.dispute_bond()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(node.chain.close() for node in self._nodes))

    async def chain_id(self) -> int:
        return await self._agree(lambda chain: chain.chain_id())

    async def head(self) -> Head:
        found = await self._everybody(lambda chain: chain.head())
        now = self._clock()
        for node, head in found:
            if head.ref.number != node.height:
                node.height, node.moved_at = head.ref.number, now
        best = max(node.height for node, _ in found)
        for node, _ in found:
            if node.height < best and now - node.moved_at > STALE_AFTER:
                self._put_aside(node, PAUSE, f"stands still at block {node.height}, others are at {best}")
        return _where_most_are([head for _, head in found], key=lambda head: head.ref.number)

    async def block(self, number: int) -> BlockRef | None:
        return await self._agree(lambda chain: chain.block(number), height=number)

    async def events(self, first: int, last: int) -> list[Event]:
        return await self._agree(lambda chain: chain.events(first, last), height=last)

    async def view(self, request_id: bytes, since: int, block: int | None = None) -> View:
        if block is not None:
            return await self._agree(lambda chain: chain.view(request_id, since, block), height=block)
        return await self._first(lambda chain: chain.view(request_id, since))

    async def structs(self, request_id: bytes, since: int) -> tuple[Request, Delivery]:
        return await self._first(lambda chain: chain.structs(request_id, since))

    async def free_bond(self, operator: ChecksumAddress) -> int:
        return await self._first(lambda chain: chain.free_bond(operator))

    async def signer_of(self, operator: ChecksumAddress) -> ChecksumAddress:
        return await self._agree(lambda chain: chain.signer_of(operator))

    async def dispute_bond(self) -> int:
        return await self._agree(lambda chain: chain.dispute_bond())

    async def standing(self, operator: ChecksumAddress) -> Standing:
        return await self._first(lambda chain: chain.standing(operator))

    async def is_open(self, model_id: bytes) -> bool:
        return await self._first(lambda chain: chain.is_open(model_id))

    def calldata(self, function: str, arguments: Sequence[Any]) -> bytes:
        return self._nodes[0].chain.calldata(function, arguments)

    async def nonce(self, sender: ChecksumAddress) -> int:
        found = await self._everybody(lambda chain: chain.nonce(sender))
        return _where_most_are([nonce for _, nonce in found], key=lambda nonce: nonce)

    async def balance(self, account: ChecksumAddress) -> int:
        return await self._first(lambda chain: chain.balance(account))

    async def trial(self, sender: ChecksumAddress, data: bytes, gas: int) -> None:
        await self._first(lambda chain: chain.trial(sender, data, gas))

    async def estimate(self, sender: ChecksumAddress, data: bytes) -> int:
        return await self._first(lambda chain: chain.estimate(sender, data))

    async def send(self, raw: bytes) -> None:
        # To all of them: one that says yes and forgets it must not be the only one that knew.
        await self._everybody(lambda chain: chain.send(raw))

    async def receipt(self, tx_hash: bytes) -> TransactionReceipt | None:
        try:
            return await self._agree(lambda chain: chain.receipt(tx_hash))
        except RpcDisagreed:
            return None  # one of two has it, or makes it up: the next look knows more

    async def is_known(self, tx_hash: bytes) -> bool:
        return any(known for _, known in await self._everybody(lambda chain: chain.is_known(tx_hash)))

    # ------------------------------------------------------------------------------------------- asking

    async def _first(self, ask: Callable[[Connected], Awaitable[T]]) -> T:
        """The answer of the first node that gives one."""
        error: RelayError = RpcUnreachable("no node can be asked")
        for node in self._usable():
            try:
                return await self._ask(node, ask)
            except RpcError as failure:
                error = failure
        raise error

    async def _everybody(self, ask: Callable[[Connected], Awaitable[T]]) -> list[tuple[Node, T]]:
        """The answers of all nodes that give one; the first error where none does."""
        nodes = self._usable()
        results = await asyncio.gather(*(self._ask(node, ask) for node in nodes), return_exceptions=True)
        found: list[tuple[Node, T]] = []
        for node, result in zip(nodes, results, strict=True):
            if not isinstance(result, BaseException):
                found.append((node, result))
            elif not isinstance(result, RelayError):
                raise result
        if not found:
            raise next(error for error in results if isinstance(error, BaseException))
        return found

    async def _agree(self, ask: Callable[[Connected], Awaitable[T]], height: int = -1) -> T:
        """What two nodes say, or the only one that can be asked.

        Args:
            ask: the question.
            height: the block that a node must have to be asked; nodes that have it go first.

        Raises:
            RpcDisagreed: no two say the same.
        """
        said: list[tuple[Node, T]] = []
        error: RelayError = RpcUnreachable("no node can be asked")
        for node in sorted(self._usable(), key=lambda node: node.height < height):
            if said and node.height < height:
                break  # it does not know yet
            try:
                answer = await self._ask(node, ask)
            except RpcError as failure:
                error = failure
                continue
            same = [other for other, earlier in said if earlier == answer]
            said.append((node, answer))
            if same:
                self._contradicted([other for other, earlier in said if earlier != answer])
                return answer
        if not said:
            raise error
        if len(said) == 1:
            return said[0][1]
        names = " and ".join(node.label for node, _ in said)
        raise RpcDisagreed(f"{names} do not say the same of one chain")

    async def _ask(self, node: Node, ask: Callable[[Connected], Awaitable[T]]) -> T:
        try:
            await self._admit(node)
            answer = await ask(node.chain)
        except RpcError as error:
            self._failed(node, error)
            raise
        node.failures = 0
        return answer

    async def _admit(self, node: Node) -> None:
        """Before its first answer, and after each failure, a node shows that it serves our chain."""
        if node.admitted or self._pinned is None:
            return
        chain_id, genesis = self._pinned
        if await node.chain.chain_id() != chain_id or await node.chain.block(0) != genesis:
            raise ChainChanged(f"{node.label} serves another chain than {chain_id}")
        await node.chain.connect()
        node.admitted = True

    # ------------------------------------------------------------------------------------------- health

    def _usable(self) -> list[Node]:
        """Nodes that are not put aside; where all are, those that only failed: one of them may be back."""
        now = self._clock()
        usable = [node for node in self._nodes if node.aside_until <= now]
        usable = usable or [node for node in self._nodes if not node.distrusted]
        if not usable:
            raise RpcUnreachable("every node was put aside, as it served another chain or was contradicted")
        return usable

    def health(self) -> dict[str, bool]:
        """Which nodes are asked now, by label."""
        now = self._clock()
        return {node.label: node.aside_until <= now for node in self._nodes}

    def _failed(self, node: Node, error: RelayError) -> None:
        node.failures += 1
        node.admitted = node.admitted and isinstance(error, RpcRefused)
        if isinstance(error, (ChainChanged, NotSettlement)):
            self._put_aside(node, DISTRUST, error.message)
        elif node.failures >= FAILURES:
            self._put_aside(node, PAUSE, error.message)

    def _contradicted(self, nodes: list[Node]) -> None:
        for node in nodes:
            self._put_aside(node, DISTRUST, "two other nodes contradict it")

    def _put_aside(self, node: Node, seconds: float, why: str) -> None:
        node.aside_until, node.failures = self._clock() + seconds, 0
        node.distrusted, node.admitted = seconds == DISTRUST, False
        log.warning("node_put_aside", node=node.label, seconds=seconds, why=why, code=RpcDisagreed.code)


def connections(urls: Sequence[str], settlement: ChecksumAddress, timeout: float) -> Web3Chain | Nodes:
    """The chain behind one URL or several; nothing is asked yet."""
    chains = [Web3Chain(url, settlement, timeout) for url in urls]
    if len(chains) == 1:
        return chains[0]
    labels = [f"node {number} ({public_url(url)})" for number, url in enumerate(urls, 1)]
    return Nodes(list(zip(labels, chains, strict=True)))


def _where_most_are(values: Sequence[T], key: Callable[[T], int]) -> T:
    """The greatest value that more than half of them have reached, so that one liar moves it by nothing."""
    return sorted(values, key=key, reverse=True)[len(values) // 2]
