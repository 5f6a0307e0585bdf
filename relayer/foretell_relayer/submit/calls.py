"""Which function of Settlement each step calls, and with what."""

from dataclasses import dataclass
from typing import Any, Final

from foretell_relayer.core import StepKind
from foretell_relayer.records import Identity, Row
from foretell_relayer.signers import Signer
from foretell_spec.bundle import Bundle

LOST_RACES: Final = frozenset(
    {
        "settlement: request not open",
        "settlement: nothing to challenge",
        "settlement: nothing to prove",
        "settlement: nothing to finalise",
        "settlement: nothing to expire",
        "settlement: another output was delivered",
    }
)
"""Reverts that mean: somebody else was quicker. No error, for the chain has what it should have."""

REJECTIONS: Final = frozenset({"verifier: proof rejected", "verifier: malformed answer"})
"""Reverts of ``CircuitVerifier`` that speak about the proof."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of Settlement."""

    function: str
    arguments: tuple[Any, ...]


async def build(row: Row, kind: StepKind, signer: Signer, identity: Identity) -> Call | None:
    """The call that a step makes; ``None`` where we do not have (any longer) what it takes."""
    request_id, inputs, outputs = row.request_id, row.found.inputs, row.outputs
    if kind is StepKind.EXPIRE:
        return Call("expire", (request_id,))
    if outputs is None:
        return None
    if kind is StepKind.FINALISE:
        return Call("finalise", (request_id, outputs))
    if kind in (StepKind.DELIVER, StepKind.CHALLENGE):
        return Call(kind.value, (request_id, outputs, identity.operator, await _sign(row, signer, identity)))
    if row.proof is None:
        return None
    if kind is StepKind.SUBMIT_PROOF:
        return Call("prove", (request_id, inputs, outputs, row.proof))
    if kind is StepKind.DELIVER_PROVEN:
        signature = await _sign(row, signer, identity)
        arguments = (request_id, inputs, outputs, identity.operator, signature, row.proof)
        return Call("deliver_proven", arguments)
    raise ValueError(f"{kind} is no transaction")


async def _sign(row: Row, signer: Signer, identity: Identity) -> bytes:
    bundle = Bundle(
        request_id=row.request_id,
        model_id=row.found.model_id,
        inputs=row.found.inputs,
        outputs=row.outputs or (),
        operator=identity.operator,
    )
    return await signer.sign_bundle(bundle, identity.chain_id, identity.settlement)
