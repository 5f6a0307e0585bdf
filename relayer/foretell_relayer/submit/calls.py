"""Which function of Settlement each step calls, and with what."""

from dataclasses import dataclass
from typing import Any, Final

from foretell_relayer.core import StepKind
from foretell_relayer.records import Identity, Row
from foretell_relayer.signers import Signer
from foretell_spec.bundle import Bundle
from foretell_spec.settlement import Delivery, Request

LOST_RACES: Final = frozenset(
    {
        "settlement: request not open",
        "settlement: nothing to challenge",
        "settlement: nothing to prove",
        "settlement: nothing to finalise",
        "settlement: nothing to expire",
        "settlement: another output was delivered",
        "settlement: another delivery",
        "settlement: result is final",
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


WITHDRAW: Final = Call("withdraw", ())
"""Draws the credit of whoever sends it."""


async def build(
    row: Row, kind: StepKind, signer: Signer, identity: Identity, structs: tuple[Request, Delivery]
) -> Call | None:
    """The call that a step makes; ``None`` where we do not have (any longer) what it takes.

    ``structs`` are what the chain knows the request by.
    """
    if kind is StepKind.WITHDRAW:
        return WITHDRAW
    request, delivery = (struct.words() for struct in structs)
    inputs, outputs = row.found.inputs, row.outputs
    if kind is StepKind.EXPIRE:
        return Call("expire", (request, delivery))
    if outputs is None:
        return None
    if kind is StepKind.FINALISE:
        return Call("finalise", (request, delivery, outputs))
    if kind in (StepKind.DELIVER, StepKind.CHALLENGE):
        known = (request,) if kind is StepKind.DELIVER else (request, delivery)
        return Call(kind.value, (*known, outputs, identity.operator, await _sign(row, signer, identity)))
    if row.proof is None:
        return None
    if kind is StepKind.SUBMIT_PROOF:
        return Call("prove", (request, delivery, inputs, outputs, row.proof))
    if kind is StepKind.DELIVER_PROVEN:
        signature = await _sign(row, signer, identity)
        arguments = (request, inputs, outputs, identity.operator, signature, row.proof)
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
