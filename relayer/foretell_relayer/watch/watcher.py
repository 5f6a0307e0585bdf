"""Reads Settlement's events from confirmed blocks into the journal."""

from collections.abc import Iterable
from typing import Any, Final

import structlog

from foretell_relayer.chain import Event
from foretell_relayer.context import Context
from foretell_relayer.errors import ChainChanged, Reorganised, RpcRefused, RpcUnreachable, TooDeep
from foretell_relayer.records import BlockRef, Found
from foretell_relayer.store import KEPT_BLOCKS
from foretell_relayer.watch.ranges import Ranges
from foretell_spec.assurance import Assurance
from foretell_spec.settlement import inputs_of

log = structlog.get_logger(__name__)

STARTERS: Final = ("Requested", "ReceiptSettled")


class Watcher:
    """Follows the chain's head at a distance of ``confirmations`` blocks.

    A range is journalled together with the hash of its last block. Whenever that block is no longer part of
    the chain, reading goes back to the newest range end that still is. Ranges are never skipped.
    """

    name = "watch"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ranges = Ranges()
        self._identified = False

    async def run(self) -> None:
        """Look at the chain again and again."""
        while not self._context.stopping:
            await self.look()
            await self._context.bells.watch.wait(self._context.settings.poll)

    async def look(self) -> None:
        """Read all confirmed blocks that were not read yet.

        Raises:
            ChainChanged: the node serves another chain.
            Reorganised: blocks were replaced while they were read.
            RpcError: the node did not help; nothing was skipped.
        """
        context = self._context
        await self.identify()
        head = await context.chain.head()
        moved = context.head is None or head.ref != context.head.ref
        context.head = head
        context.metrics.head.set(head.ref.number)
        context.metrics.head_time.set(head.timestamp)
        for node, up in context.chain.health().items():
            context.metrics.nodes.labels(node).set(up)
        last = head.ref.number - context.settings.confirmations + 1
        first = await self._resume()
        while first <= last and not context.stopping:
            first = await self._read(*self._ranges.next(first, last))
            context.monitor.looked(last, first - 1)
        context.monitor.looked(last, first - 1)
        if moved:
            context.bells.decide.ring()
            context.bells.submit.ring()

    async def identify(self) -> None:
        """Make sure that this is still the same chain; the genesis block is compared after every failure.

        Raises:
            ChainChanged: it is not.
        """
        chain, identity = self._context.chain, self._context.identity
        chain_id = await chain.chain_id()
        if chain_id != identity.chain_id:
            raise ChainChanged(f"the node serves chain {chain_id} now; it was chain {identity.chain_id}")
        if not self._identified:
            genesis = await chain.block(0)
            if genesis is None or genesis.hash != identity.genesis:
                raise ChainChanged("the chain's genesis block is another one than before")
            self._identified = True

    def doubt(self) -> None:
        """Something failed: compare the genesis block again at the next look."""
        self._identified = False

    async def _resume(self) -> int:
        """The first block to read, after going back over blocks that are no longer part of the chain."""
        context = self._context
        known = context.journal.checkpoints()
        for index, checkpoint in enumerate(known):
            if await context.chain.block(checkpoint.number) != checkpoint:
                continue
            if index:
                await self._rewind(known[0], checkpoint.number)
            return checkpoint.number + 1
        if known:
            await self._rewind(known[0], context.settings.from_block - 1)
        return context.settings.from_block

    async def _rewind(self, newest: BlockRef, ancestor: int) -> None:
        self.doubt()
        await self.identify()
        if (
            ancestor < self._context.settings.from_block
            and len(self._context.journal.checkpoints()) >= KEPT_BLOCKS
        ):
            raise TooDeep(
                f"none of the last {KEPT_BLOCKS} ranges up to block {newest.number} is in the chain"
            )
        log.warning("reorganised", from_block=newest.number, back_to=ancestor)
        self._context.journal.rewind(ancestor)
        self._context.bells.decide.ring()

    async def _read(self, first: int, last: int) -> int:
        """Read and journal some blocks; returns the first one that remains."""
        context = self._context
        try:
            end = await context.chain.block(last)
            events = await context.chain.events(first, last)
        except (RpcRefused, RpcUnreachable) as error:
            if not self._ranges.failed():
                raise
            log.info("range_halved", blocks=self._ranges.length, code=error.code, why=error.message)
            return first
        await self._require_canonical(end, first, last, events)
        found = [each for each in map(self._found, events) if each is not None]
        touched = {event.request_id for event in events if event.name not in STARTERS}
        if end is None:
            raise Reorganised(f"block {last} is gone")
        context.journal.record(found, touched, end)
        self._ranges.succeeded()
        context.metrics.read.set(last)
        self._tell(found)
        if events:
            context.bells.decide.ring()
        return last + 1

    async def _require_canonical(
        self, end: BlockRef | None, first: int, last: int, events: Iterable[Event]
    ) -> None:
        """Logs may come from a node that lags or lies: each must be of a block of the chain as it is now."""
        for block in {event.block for event in events}:
            if not first <= block.number <= last:
                raise RpcRefused(f"the node returned a log of block {block.number} for {first} to {last}")
            if await self._context.chain.block(block.number) != block:
                raise Reorganised(f"block {block.number} was replaced while it was read")
        if end is None or await self._context.chain.block(last) != end:
            raise Reorganised(f"block {last} was replaced while it was read")

    def _found(self, event: Event) -> Found | None:
        if (
            event.name not in STARTERS
            or bytes(event.args["model_id"]) not in self._context.models.manifests()
        ):
            return None
        return found(event)

    def _tell(self, found: Iterable[Found]) -> None:
        for each in found:
            self._context.metrics.seen.inc()
            log.info(
                "request_seen",
                request_id="0x" + each.request_id.hex(),
                model_id="0x" + each.model_id.hex(),
                block=each.block_number,
                assurance=each.min_assurance.name,
                receipt=each.from_receipt,
            )


def found(event: Event) -> Found:
    """The request that a ``Requested`` or ``ReceiptSettled`` event tells of."""
    args = event.args
    receipt = event.name == "ReceiptSettled"
    policy: dict[str, Any] = {} if receipt else dict(args["policy"])
    return Found(
        request_id=event.request_id,
        model_id=bytes(args["model_id"]),
        requester=args["requester"],
        inputs=inputs_of(args),
        min_assurance=Assurance.SIGNED if receipt else Assurance(policy["min_assurance"]),
        provisional=bool(policy.get("provisional", False)),
        from_receipt=receipt,
        deadline=policy.get("deadline", 0),
        value_at_risk=args["value_at_risk"] if receipt else policy["value_at_risk"],
        fee=args["fee"],
        block_number=event.block.number,
    )
