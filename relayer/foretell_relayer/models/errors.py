"""Errors of models. Codes are stable.

ModelError
├── BadModel       R-MOD-001  an ONNX file that cannot be used
├── BadSamples     R-MOD-002  samples that cannot be used
├── Inaccurate     R-MOD-003  circuit and ONNX Runtime differ by more than the tolerance
├── NoCircuit      R-MOD-004  no circuit within the limits holds the model
├── BadFolder      R-MOD-005  a model folder that is incomplete, altered or damaged
├── UnknownModel   R-MOD-006  no folder of this model here
├── InsecureModel  R-MOD-007  an SRS for development chains, on another chain
├── WrongRuntime   R-MOD-008  the runtime here is not the one that the model pins
├── NoProofs       R-MOD-009  a proof was asked of a model without a circuit
└── BadSrs         R-MOD-010  a structured reference string that is damaged, or not the expected one

All of them mean: give up until somebody changes something.
"""

from foretell_relayer.coded import CodedError


class ModelError(CodedError):
    """A model cannot be added, read or used."""

    code = "R-MOD-000"


class BadModel(ModelError):
    """The ONNX file is damaged, or is no model that a circuit can hold."""

    code = "R-MOD-001"
    hint = "Export the model again as the message says; docs/guides/models.md lists what is admitted."


class BadSamples(ModelError):
    """The samples are damaged, of another shape, or not finite numbers."""

    code = "R-MOD-002"
    hint = "Save plain arrays with numpy.savez or numpy.save, of the shape that the message names."


class Inaccurate(ModelError):
    """No admitted scale brings the circuit within the tolerance."""

    code = "R-MOD-003"
    hint = "Give a larger --tolerance, or narrow --input-range; `foretell model measure` suggests one."


class NoCircuit(ModelError):
    """The circuit, its verifier or its proof would be too large."""

    code = "R-MOD-004"
    hint = "Use a smaller or simpler model, or raise --max-logrows."


class BadFolder(ModelError):
    """A file of the folder is missing, malformed, or not the one that the manifest vouches for."""

    code = "R-MOD-005"
    hint = "Get the folder again from whoever published it; do not edit its files."


class UnknownModel(ModelError):
    """The store has no folder for this model id."""

    code = "R-MOD-006"
    hint = "Name the model's folder with --model."


class InsecureModel(ModelError):
    """The model's SRS is fit for development chains only."""

    code = "R-MOD-007"
    hint = "Make the model again with a public ceremony's file: `foretell srs --help`."


class WrongRuntime(ModelError):
    """The runtime here is not the one that defines the model's outputs."""

    code = "R-MOD-008"
    hint = "Install the version of onnxruntime that `foretell model show` names."


class NoProofs(ModelError):
    """A proof was asked for, and only models of class CIRCUIT have proofs."""

    code = "R-MOD-009"
    hint = "Ask for SIGNED or AGREED, or make a circuit of the model."


class BadSrs(ModelError):
    """The structured reference string is damaged, cannot be had, or is not the expected one."""

    code = "R-MOD-010"
    hint = (
        "Get kzg<rows>.srs from EZKL's public storage by hand, and give it: `foretell srs get --from FILE`."
    )
