"""How sure an output is."""

from enum import IntEnum


class Assurance(IntEnum):
    """Strength of the evidence behind an output; a higher one includes what the lower ones promise."""

    NONE = 0
    SIGNED = 1
    """One bonded operator signed it."""
    AGREED = 2
    """A quorum of independently drawn operators signed the same."""
    ATTESTED = 3
    """An attested enclave signed it."""
    PROVEN = 4
    """A zero-knowledge proof shows that the model gives this output for this input."""
