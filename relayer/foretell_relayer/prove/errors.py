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
    hint = "Check the model with `foretell model check FOLDER`; then `foretell replay REQUEST`."


class EzklPanicked(ProveError):
    """EZKL panicked: a file that it cannot read, or files that do not belong together."""

    code = "R-PRV-002"
    hint = "Remove the model's folder in the cache, and check the model with `foretell model check FOLDER`."


class ChildCrashed(ProveError):
    """The child process ended by a signal, or without an answer."""

    code = "R-PRV-003"
    retry = True
    hint = "Look at memory and at the kernel's log; it is tried again by itself."


class ChildTimedOut(ProveError):
    """The child process was stopped at its time limit."""

    code = "R-PRV-004"
    retry = True
    hint = "Use a faster machine or fewer models at once; it is tried again by itself."


class OutOfMemory(ProveError):
    """The child process reached its memory limit."""

    code = "R-PRV-005"
    hint = "Add memory, or serve a smaller model."


class InvalidProof(ProveError):
    """A proof that does not verify."""

    code = "R-PRV-006"
    hint = "The keys are made again by themselves; if it comes back, get the model's folder again."


class OutputTooLarge(ProveError):
    """A file of the child reached its size limit, or the disk is full."""

    code = "R-PRV-007"
    hint = "Free some space on the disk."


class NoCompiler(ProveError):
    """Node or its ``solc`` package is missing."""

    code = "R-PRV-008"
    hint = "Run `npm install` in the project's folder, or install Node.js first."


class CompilerFailed(ProveError):
    """The Solidity compiler did not compile."""

    code = "R-PRV-009"
    hint = "Run it again with --debug and report the compiler's message, please."


class WrongWitness(ProveError):
    """EZKL computed on other numbers than it was given."""

    code = "R-PRV-010"
    hint = "Report it, please: EZKL and this version do not agree about numbers."
