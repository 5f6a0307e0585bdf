"""The stages between reading and sending: decide what is next, run models, prove outputs.

Each takes requests out of its queue in the journal, does its part, and puts them back to be decided.
"""

import time
from typing import Final

import structlog

from foretell_relayer.context import Context
from foretell_relayer.core import (
    RECHECK,
    TRANSACTIONS,
    Facts,
    Stand,
    Status,
    Step,
    StepKind,
    View,
    next_step,
)
from foretell_relayer.intake import Intake
from foretell_relayer.models.errors import ModelError
from foretell_relayer.operate.control import withhold
from foretell_relayer.prove.errors import ProveError
from foretell_relayer.records import Row
from foretell_relayer.work import in_thread
from foretell_spec.errors import SpecError
from foretell_spec.tensor import tensor_hash

log = structlog.get_logger(__name__)

TRIES: Final = 3
"""Failures in a row after which a request is left alone: it, or its model, is poison."""


class Decider:
    """Asks ``core`` what to do next for each request that is due."""

    name = "decide"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._intake = Intake(context)

    async def run(self) -> None:
        """Decide whenever something changed."""
        while not self._context.stopping:
            await self.decide_all()
            await self._context.bells.decide.wait(self._context.settings.poll)

    async def decide_all(self) -> None:
        """Decide for all requests that are due at the newest block's time."""
        context = self._context
        if context.head is None:
            return
        now = context.head.timestamp
        rows = context.journal.due(now)
        if rows or context.monitor.refusal is not None:
            await self._intake.look()
        if not rows:
            return
        free_bond = await context.chain.free_bond(context.operator)
        for row in rows:
            if context.stopping:
                return
            self._follow(row, await self._step(row, free_bond, now))

    async def _step(self, row: Row, free_bond: int, now: int) -> Step:
        context = self._context
        manifest = context.models.manifests().get(row.found.model_id)
        if manifest is None:
            return Step(StepKind.WAIT, "the model is not served here any longer")
        facts = row.found.facts(manifest.challenge_window, manifest.proof_window)
        view = await context.chain.view(row.request_id, row.found.block_number)
        step = next_step(facts, view, self._stand(row, free_bond), now, context.settings.rules)
        step = withhold(step, view, context.operator, context.monitor.mode, now + RECHECK)
        if view.status is Status.OPEN:
            return self._intake.admit(row, facts, step, now)
        if step.kind is StepKind.DONE:
            if not await self._is_confirmed(row, view.status):
                return Step(StepKind.WAIT, f"{step.why}, not confirmed yet", now + 1)
            self._end(row, facts, view, now)
        if step.kind is StepKind.CHALLENGE and step.why != row.why:
            context.journal.diverged(row, view)
            context.metrics.divergences.inc()
        return step

    def _end(self, row: Row, facts: Facts, view: View, now: int) -> None:
        gap = self._context.journal.ended(row, facts, view, self._context.operator, now)
        if gap is not None:
            self._context.metrics.gap_seconds.observe(gap)

    async def _is_confirmed(self, row: Row, status: Status) -> bool:
        """Whether a request had this status at the newest confirmed block already."""
        confirmed = self._context.confirmed
        if self._context.settings.confirmations == 1 or confirmed is None:
            return True
        since = row.found.block_number
        return (await self._context.chain.view(row.request_id, since, max(confirmed, 0))).status is status

    def _stand(self, row: Row, free_bond: int) -> Stand:
        return Stand(
            operator=self._context.operator,
            free_bond=free_bond,
            dispute_bond=self._context.dispute_bond,
            output_hash=None if row.outputs is None else tensor_hash(row.outputs),
            has_proof=row.proof is not None,
            can_infer=row.infer_failures < TRIES,
            can_prove=row.prove_failures < TRIES,
        )

    def _follow(self, row: Row, step: Step) -> None:
        context = self._context
        context.journal.decide(row, step)
        if step.why != row.why:
            log.info("decided", request_id=row.label, step=step.kind.value, why=step.why)
        if step.kind is StepKind.DONE:
            context.metrics.closed.labels(step.why).inc()
        elif step.kind is StepKind.INFER:
            context.bells.infer.ring()
        elif step.kind is StepKind.PROVE:
            context.bells.prove.ring()
        elif step.kind in TRANSACTIONS:
            context.bells.submit.ring()


class Inferrer:
    """Runs models."""

    name = "infer"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Answer whenever requests wait."""
        while not self._context.stopping:
            await self.work()
            await self._context.bells.infer.wait(self._context.settings.poll)

    async def work(self) -> None:
        """Answer all requests that wait now."""
        for row in self._context.journal.in_step({StepKind.INFER}):
            if not self._context.stopping:
                await self._answer(row)

    async def _answer(self, row: Row) -> None:
        context, began = self._context, time.monotonic()
        try:
            outputs = await in_thread(context.models.infer, row.found.model_id, row.found.inputs)
        except (ModelError, ProveError, SpecError) as error:
            failed(context, row, StepKind.INFER, error, row.infer_failures)
        else:
            seconds = time.monotonic() - began
            context.metrics.infer_seconds.observe(seconds)
            context.journal.answered(row.request_id, outputs)
            log.info("answered", request_id=row.label, seconds=round(seconds, 3))
        context.bells.decide.ring()


class ProofMaker:
    """Proves outputs, one at a time: a proof takes all cores and much memory."""

    name = "prove"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Prove whenever requests wait."""
        while not self._context.stopping:
            await self.work()
            await self._context.bells.prove.wait(self._context.settings.poll)

    async def work(self) -> None:
        """Prove for all requests that wait now."""
        for row in self._context.journal.in_step({StepKind.PROVE}):
            if not self._context.stopping:
                await self._prove(row)

    async def _prove(self, row: Row) -> None:
        context, began = self._context, time.monotonic()
        log.info("proving", request_id=row.label)
        try:
            proof = await in_thread(
                context.models.prove, row.found.model_id, row.found.inputs, row.outputs or ()
            )
        except (ModelError, ProveError, SpecError) as error:
            failed(context, row, StepKind.PROVE, error, row.prove_failures)
        else:
            seconds = time.monotonic() - began
            context.metrics.prove_seconds.observe(seconds)
            context.journal.proven(row.request_id, proof)
            log.info("proved", request_id=row.label, seconds=round(seconds, 3), proof_bytes=len(proof))
        context.bells.decide.ring()


def failed(context: Context, row: Row, kind: StepKind, error: Exception, failures: int) -> None:
    """Journal that a model could not be run or proved; an error that will not go away counts as many."""
    code = getattr(error, "code", "R-MOD-000")
    # A damaged key is made again: its error may go away, although not by itself.
    lasting = not getattr(error, "retry", False) and code != "R-PRV-006"
    count = TRIES if lasting else failures + 1
    context.metrics.errors.labels(code).inc()
    context.journal.model_failed(row.request_id, kind, str(error), count)
    log.warning(
        "model_failed",
        request_id=row.label,
        step=kind.value,
        code=code,
        why=str(error),
        gives_up=count >= TRIES,
    )
