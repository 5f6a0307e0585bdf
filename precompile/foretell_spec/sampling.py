"""Sampling with a seed: the Gumbel-max rule, and what makes a token of it admissible.

A step's score of a token is its logit plus noise that follows from seed, step and token alone; the token with
the highest score is drawn, which samples the softmax of the logits. Logits differ in their last bits from
machine to machine; the distance between the best two scores is orders of magnitude larger (which an inverse
CDF would not give), so machines agree on tokens though not on logits. Where the distance is within ``tau``,
either token is right.

All scores are WAD integers. ``decimal`` rounds logarithms correctly, so they are the same everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Final

from eth_utils import keccak

from foretell_spec.tensor import WAD, Tensor

_EXACT: Final = Context(prec=60, rounding=ROUND_FLOOR)
_BITS: Final = 64

Logits = Callable[[Tensor], Sequence[int]]
"""The logits (WAD) of the token that follows a context."""


def gumbel(seed: bytes, step: int, token: int) -> int:
    """Noise of one token at one step, WAD: ``-ln(-ln u)`` with ``u`` in (0, 1) from a hash."""
    digest = keccak(seed + step.to_bytes(8, "big") + token.to_bytes(8, "big"))
    odd = 2 * int.from_bytes(digest[: _BITS // 8], "big") + 1
    uniform = _EXACT.divide(Decimal(odd), Decimal(1 << (_BITS + 1)))
    exponential = _EXACT.minus(uniform.ln(_EXACT))
    noise = _EXACT.minus(exponential.ln(_EXACT))
    return int(_EXACT.multiply(noise, Decimal(WAD)).to_integral_value(ROUND_FLOOR))


def scores(seed: bytes, step: int, logits: Sequence[int]) -> list[int]:
    """Each token's score at one step, WAD."""
    return [logit + gumbel(seed, step, token) for token, logit in enumerate(logits)]


def sample(seed: bytes, step: int, logits: Sequence[int]) -> int:
    """The token with the highest score; of equal ones the lowest."""
    found = scores(seed, step, logits)
    return found.index(max(found))


def margin(seed: bytes, step: int, logits: Sequence[int], token: int) -> int | None:
    """How far the token's score is below the best one, WAD; ``None`` where there is no such token."""
    if not 0 <= token < len(logits):
        return None
    found = scores(seed, step, logits)
    return max(found) - found[token]


def decode(seed: bytes, prompt: Tensor, length: int, logits: Logits) -> Tensor:
    """Sample ``length`` tokens. The model sees the last ``len(prompt)`` tokens at each step."""
    tokens = prompt
    for step in range(length):
        tokens = (*tokens, sample(seed, step, logits(tokens[step:])))
    return tokens[len(prompt) :]


@dataclass(frozen=True, slots=True)
class Fault:
    """A token that the rule does not admit: ``margin`` (WAD) is over tau, or the model has no such token."""

    step: int
    token: int
    margin: int | None


def first_fault(seed: bytes, prompt: Tensor, output: Tensor, logits: Logits, tau: int) -> Fault | None:
    """Check an output under its own prefix (teacher forcing); ``None`` where every token is admissible.

    Args:
        seed: of the call.
        prompt: the call's input.
        output: tokens that somebody says were sampled.
        logits: the model.
        tau: largest benign margin, WAD.
    """
    tokens = prompt + output
    for step, token in enumerate(output):
        found = margin(seed, step, logits(tokens[step : step + len(prompt)]), token)
        if found is None or found > tau:
            return Fault(step, token, found)
    return None


def agreed_tokens(outputs: Sequence[Tensor]) -> Tensor:
    """Of admissible outputs the one with the lowest token where they part."""
    return min(outputs)
