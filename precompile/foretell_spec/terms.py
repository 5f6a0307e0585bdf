"""What a settlement needs of a model, in one word: ``ModelRegistry`` stores it, each request carries it."""

from dataclasses import dataclass
from typing import Final

from foretell_spec.divergence import DeterminismClass
from foretell_spec.errors import SpecError
from foretell_spec.manifest import Manifest

_BITS: Final = (8, 8, 8, 16, 16, 64, 64, 1)
"""Widths of the fields, from the lowest bit."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The fields of the word, as ``contracts/lib/terms.vy`` packs them. Windows are in seconds."""

    determinism: DeterminismClass
    input_scale: int
    output_scale: int
    input_size: int
    output_size: int
    challenge_window: int
    proof_window: int
    is_open: bool = True

    @classmethod
    def of(cls, manifest: Manifest) -> "Terms":
        """The terms of a model that takes requests."""
        return cls(
            determinism=manifest.determinism,
            input_scale=manifest.input_scale,
            output_scale=manifest.output_scale,
            input_size=manifest.input_size,
            output_size=manifest.output_size,
            challenge_window=manifest.challenge_window,
            proof_window=manifest.proof_window,
        )

    @property
    def word(self) -> int:
        """The packed word."""
        values = (
            self.determinism, self.input_scale, self.output_scale, self.input_size, self.output_size,
            self.challenge_window, self.proof_window, self.is_open,
        )  # fmt: skip
        word, offset = 0, 0
        for value, bits in zip(values, _BITS, strict=True):
            word |= int(value) << offset
            offset += bits
        return word

    @classmethod
    def from_word(cls, word: int) -> "Terms":
        """Unpack a word.

        Raises:
            SpecError: it names no class, or has bits that mean nothing.
        """
        rest, values = word, []
        for bits in _BITS:
            values.append(rest & ((1 << bits) - 1))
            rest >>= bits
        if rest or values[0] not in set(DeterminismClass):
            raise SpecError(f"{word:#x} are no terms of a model")
        determinism, in_scale, out_scale, in_size, out_size, challenge, proof, is_open = values
        return cls(
            determinism=DeterminismClass(determinism),
            input_scale=in_scale,
            output_scale=out_scale,
            input_size=in_size,
            output_size=out_size,
            challenge_window=challenge,
            proof_window=proof,
            is_open=bool(is_open),
        )
