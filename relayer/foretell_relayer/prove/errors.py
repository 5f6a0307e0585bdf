"""Errors of circuits and child processes. Codes are stable: logs, metrics and the journal refer to them.

ProveError
├── EzklRefused     R-PRV-001  give up  EZKL said no: bad file, value outside the circuit, failed verification
├── EzklPanicked    R-PRV-002  give up  EZKL hit a bug or a malformed file
├── ChildCrashed    R-PRV-003  retry    the child was killed or crashed
├── ChildTimedOut   R-PRV-004  retry    the child took longer than its limit
├── OutOfMemory     R-PRV-005  give up  the child needed more memory than its limit
├── InvalidProof    R-PRV-006  rebuild  a proof was made and does not verify: damaged key, SRS or circuit
├── OutputTooLarge  R-PRV-007  give up  the child wrote a larger file than its limit, or the disk is full
├── NoCompiler      R-PRV-008  give up  no Solidity compiler was found
├── CompilerFailed  R-PRV-009  give up  the Solidity compiler refused the verifier
└── WrongWitness    R-PRV-010  give up  the witness is not about the input that was asked for
"""

from foretell_relayer.coded import CodedError


class ProveError(CodedError):
    """A circuit could not be made, run or proved; ``retry`` says whether the same call may succeed later."""

    code = "R-PRV-000"


class EzklRefused(ProveError):
    """EZKL reported an error of its own."""

    code = "R-PRV-001"


class EzklPanicked(ProveError):
    """EZKL panicked: a file that it cannot read, or files that do not belong together."""

    code = "R-PRV-002"


class ChildCrashed(ProveError):
    """The child process ended by a signal, or without an answer."""

    code = "R-PRV-003"
    retry = True


class ChildTimedOut(ProveError):
    """The child process was stopped at its time limit."""

    code = "R-PRV-004"
    retry = True


class OutOfMemory(ProveError):
    """The child process reached its memory limit."""

    code = "R-PRV-005"


class InvalidProof(ProveError):
    """A proof that does not verify."""

    code = "R-PRV-006"


class OutputTooLarge(ProveError):
    """A file of the child reached its size limit, or the disk is full."""

    code = "R-PRV-007"


class NoCompiler(ProveError):
    """Node or its ``solc`` package is missing."""

    code = "R-PRV-008"


class CompilerFailed(ProveError):
    """The Solidity compiler did not compile."""

    code = "R-PRV-009"


class WrongWitness(ProveError):
    """EZKL computed on other numbers than it was given."""

    code = "R-PRV-010"
