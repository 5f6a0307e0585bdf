"""Errors of this package.

SpecError (ValueError)
├── TensorError      a tensor that no model of this shape accepts
├── ManifestError    a manifest that breaks a rule of its class
├── CalldataError    calldata that is not the canonical encoding of a native call
└── SignatureError   a signature that is malformed, malleable or of nobody
"""


class SpecError(ValueError):
    """A value from outside that breaks a rule of the specification."""


class TensorError(SpecError):
    """A tensor of the wrong size, or with an element out of range."""


class ManifestError(SpecError):
    """A manifest that breaks a rule; the message names the field."""


class CalldataError(SpecError):
    """Calldata that is not the canonical ABI encoding of a native call."""


class SignatureError(SpecError):
    """A signature of the wrong length, not in low-s form, or that recovers no key."""
