"""Why a request stands where it stands: for each reason that the relayer gives, a stable code, what comes
next and what an operator can do.

The texts are those of ``core`` and ``stages``; a test holds the two together.
"""

from dataclasses import dataclass
from typing import Final

from foretell_relayer import coded
from foretell_relayer.operate.control import DRAINING, PAUSED

NOTHING: Final = "Nothing: it goes on by itself."


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reason: its code, its text in the journal, what comes next, and what to do."""

    code: str
    text: str
    next: str
    remedy: str = NOTHING


_BOND: Final = "Raise the bond with OperatorRegistry.add_bond(), or wait until other requests settle."
_REPLAY: Final = "Mend what its last error names; then `foretell replay REQUEST`."
_SAME_MODEL: Final = (
    "Run `foretell model check FOLDER`: either this machine or the one that delivered computes wrongly."
)

EXPLANATIONS: Final = (
    Explanation("Q-NEW-001", "", "It is decided within a poll.", "If it stays: is the relayer running?"),
    Explanation("Q-NEW-002", "a request of a model that we serve", "The model is run."),
    Explanation("Q-NEW-003", "a proof was asked for", "It is proved, and delivered with its proof."),
    Explanation("Q-NEW-004", "the bond does not cover a delivery", "It is proved instead.", _BOND),
    Explanation(
        "Q-NEW-005", "the bond does not cover a delivery; a proof may be in time",
        "The output is proved; with luck before the deadline.", _BOND,
    ),
    Explanation("Q-NEW-006", "final at once, and no bond is locked", "Output and proof are sent."),
    Explanation("Q-NEW-007", "a signature is enough", "The signed output is sent."),
    Explanation("Q-NEW-008", "the proof follows", "The signed output is sent; the proof after it."),
    Explanation(
        "Q-NEW-009", "the free bond does not cover the value at risk", "It is looked at again.", _BOND
    ),
    Explanation(
        "Q-NEW-010", "nobody delivered before the deadline", "It is expired; the requester gets its fee."
    ),
    Explanation(
        "Q-NEW-011", "the model cannot answer this request here", "It is left to others until its deadline.",
        _REPLAY,
    ),
    Explanation(
        "Q-NEW-012", "the model is not served here any longer", "Nothing, until it is served again.",
        "Start the relayer with the model's folder (--model).",
    ),
    Explanation(
        "Q-NEW-013", "the chain does not know the request (any longer)",
        "It is looked at again when its block comes back.",
    ),
    Explanation("Q-OWN-001", "a proof was promised", "The output is proved, and the proof sent."),
    Explanation("Q-OWN-002", "the requester acts on it already", "The output is proved, and the proof sent."),
    Explanation("Q-OWN-003", "the challenge window is open", "It is finalised when the window is over."),
    Explanation("Q-OWN-004", "nobody challenged it in time", "It is finalised; the fee is ours."),
    Explanation("Q-OWN-005", "the output is needed to finalise", "The model is run again."),
    Explanation(
        "Q-OWN-006", "the delivered output is not the one we compute", "Nothing can be finalised from here.",
        _SAME_MODEL,
    ),
    Explanation(
        "Q-OWN-007", "the delivered output is not the one we compute: it cannot be proven",
        "The delivery will be lost.", _SAME_MODEL,
    ),
    Explanation(
        "Q-OWN-008", "the proof cannot be made here", "The delivery is lost unless a proof comes.",
        _REPLAY,
    ),
    Explanation(
        "Q-OWN-009", "the promised proof is overdue: this delivery is lost", "Anybody may expire it.",
        "Promise fewer proofs: run `foretell doctor` to compare proving speed with the model's window.",
    ),
    Explanation(
        "Q-OTH-001", "another operator delivered: is it right?", "The model is run, to compare the outputs."
    ),
    Explanation("Q-OTH-002", "another operator delivered the same output", "Nothing; it is theirs."),
    Explanation("Q-OTH-003", "another operator delivered a different output", "It is challenged."),
    Explanation(
        "Q-OTH-004", "wrong output, but no free bond to challenge it", "It is looked at again.", _BOND
    ),
    Explanation("Q-OTH-005", "the challenge window is over", "Nothing; it is theirs."),
    Explanation("Q-OTH-006", "the promised proof is overdue", "It is expired; its deliverer is slashed."),
    Explanation("Q-DSP-001", "a proof decides the dispute", "The output is proved, and the proof sent."),
    Explanation("Q-DSP-002", "a dispute of others", "Nothing until its proof window is over."),
    Explanation("Q-DSP-003", "nobody proved in time", "The dispute is ended without a winner."),
    Explanation("Q-OPR-001", PAUSED, "Nothing new is begun.", "`foretell resume` takes requests again."),
    Explanation("Q-OPR-002", DRAINING, "Nothing new is begun.", "`foretell resume` takes requests again."),
    Explanation("Q-END-001", "FINAL", "Nothing: it is settled."),
    Explanation("Q-END-002", "UNDETERMINED", "Nothing: nobody proved, and the requester has its fee back."),
    Explanation(
        "Q-END-003", "EXPIRED", "Nothing: the requester has its fee back.",
        "If it was ours: look at the timeline for what took so long.",
    ),
    Explanation("Q-END-004", "CANCELLED", "Nothing: the requester took it back."),
)  # fmt: skip
"""In the order in which requests meet them."""

UNKNOWN: Final = Explanation("Q-UNK-001", "unknown", "It is decided again.", "Report this text, please.")
HELD_UP: Final = Explanation(
    "Q-NEW-014", "new work is not taken now, as the error says", "It is looked at again.",
    "What the error's own code asks for.",
)  # fmt: skip
"""Of the texts that begin with an error's code, which ``intake`` gives."""

_SUFFIXES: Final = ("; it is ready", ", not confirmed yet")
_BY_TEXT: Final = {each.text: each for each in EXPLANATIONS}


def explain(why: str) -> Explanation:
    """What a journalled reason means."""
    for suffix in _SUFFIXES:
        why = why.removesuffix(suffix)
    error = coded.find(why)
    if error is not None:
        return Explanation(HELD_UP.code, why, HELD_UP.next, error.hint or HELD_UP.remedy)
    return _BY_TEXT.get(why, UNKNOWN)
