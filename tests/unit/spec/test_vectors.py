"""The specification against the vectors that the VM and the Vyper modules run too."""

import pytest

from foretell_spec import abi, gas
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.attestation import Statement, enclave_identity
from foretell_spec.bundle import Bundle, batch_digest, recover_signer
from foretell_spec.commitment import Commitment, Reveal, hide
from foretell_spec.divergence import DeterminismClass, judge
from foretell_spec.draw import draw, draw_seed, minus_log2
from foretell_spec.errors import CalldataError, SignatureError, SpecError, TensorError
from foretell_spec.manifest import MANIFEST_WORDS, Manifest
from foretell_spec.reasons import Reason, reason_of
from foretell_spec.request import call_seed
from foretell_spec.sampling import gumbel, sample
from foretell_spec.settlement import Delivery, Policy, Request, ask_digest
from foretell_spec.sidecar import Sidecar
from foretell_spec.tensor import dequantise, from_felt, quantise, tensor_hash, to_felt
from foretell_spec.terms import Terms
from scripts.build_vectors import main as build_vectors
from tests.kit.vectors import cases, raw, vectors


def rows(file: str, group: str):
    return pytest.mark.parametrize("row", cases(file, group))


def test_files_are_what_the_specification_writes():
    assert build_vectors(["--check"]) == 0


@rows("tensor", "quantise")
def test_quantise(row):
    assert quantise([int(row["wad"])], row["scale"]) == (int(row["expected"]),)


@rows("tensor", "quantise_fail")
def test_quantise__out_of_range__raises(row):
    with pytest.raises(TensorError):
        quantise([int(row["wad"])], row["scale"])


@rows("tensor", "dequantise")
def test_dequantise(row):
    assert dequantise([int(row["quantised"])], row["scale"]) == (int(row["expected"]),)


@rows("tensor", "felt")
def test_felt__both_ways(row):
    assert to_felt(int(row["quantised"])) == int(row["felt"])
    assert from_felt(int(row["felt"])) == int(row["quantised"])


@rows("tensor", "felt_fail")
def test_felt__out_of_range__raises(row):
    with pytest.raises(TensorError):
        to_felt(int(row["quantised"]))


@rows("tensor", "hash")
def test_tensor_hash(row):
    assert tensor_hash([int(v) for v in row["values"]]) == raw(row["expected"])


@rows("divergence", "judge")
def test_judge(row):
    first, second = ([int(v) for v in row[side]] for side in ("first", "second"))
    verdict = judge(DeterminismClass(row["determinism"]), first, second, int(row["tolerance"]))
    assert (verdict.relation, verdict.decider) == (row["relation"], row["decider"])


@rows("manifest", "model_id")
def test_model_id(row):
    words = [
        raw(word) if kind == "bytes32" else word if kind == "address" else int(word)
        for kind, word in zip(MANIFEST_WORDS, row["words"], strict=True)
    ]
    assert Manifest.from_words(tuple(words)).model_id == raw(row["model_id"])


def test_model_id__differs_for_each_field():
    ids = [row["model_id"] for row in vectors("manifest", "model_id")]
    assert len(set(ids)) == len(ids) == len(MANIFEST_WORDS) + 1


@rows("bundle", "bundle")
def test_bundle(row):
    bundle = Bundle.from_json(row)
    assert bundle.input_hash == raw(row["input_hash"])
    assert bundle.output_hash == raw(row["output_hash"])
    assert bundle.digest(row["chain_id"], row["verifying_contract"]) == raw(row["digest"])
    assert bundle.signer(row["chain_id"], row["verifying_contract"]) == row["signer"]
    assert bundle.receipt_id == raw(row["receipt_id"])
    assert bundle.hash == raw(row["hash"])


def request_of(row):
    policy = Policy(
        int(row["min_assurance"]), bool(int(row["provisional"])), int(row["callback_gas"]),
        int(row["deadline"]), int(row["value_at_risk"]),
    )  # fmt: skip
    numbers = (int(row[name]) for name in ("fee", "created_at"))
    hashes = (raw(row[name]) for name in ("model_id", "input_hash"))
    from_receipt = bool(int(row["from_receipt"]))
    return Request(
        row["requester"], int(row["nonce"]), *hashes, int(row["terms"]), policy, *numbers, from_receipt
    )


@rows("settlement", "request")
def test_settlement_request(row):
    assert request_of(row).id(row["chain_id"], row["settlement"]) == raw(row["request_id"])


@rows("settlement", "delivery")
def test_settlement_delivery(row):
    delivery = Delivery(
        row["operator"], raw(row["output_hash"]), int(row["delivered_at"]), int(row["raised_fee"]),
        row["challenger"], raw(row["challenger_output_hash"]), int(row["disputed_at"]),
        int(row["compensation"]),
    )  # fmt: skip
    assert delivery.commitment == int(row["commitment"]) < 2**208


@rows("settlement", "ask")
def test_settlement_ask(row):
    request = request_of(row)
    made = ask_digest(
        row["chain_id"], row["settlement"], request.requester, request.nonce, request.model_id,
        request.input_hash, request.policy, request.fee,
    )  # fmt: skip
    assert made == raw(row["digest"])


@rows("settlement", "batch")
def test_settlement_batch(row):
    hashes = [raw(each) for each in row["struct_hashes"]]
    assert batch_digest(row["chain_id"], row["verifying_contract"], hashes) == raw(row["digest"])


@rows("settlement", "terms")
def test_settlement_terms(row):
    terms = Terms.from_word(int(row["word"]))
    assert terms.word == int(row["word"])
    for name in ("determinism", "input_scale", "output_size", "challenge_window", "proof_window", "is_open"):
        assert int(getattr(terms, name)) == int(row[name])


@pytest.mark.parametrize("word", [1 << 185, 5, 2**256 - 1])
def test_settlement_terms__no_terms__are_refused(word):
    with pytest.raises(SpecError):
        Terms.from_word(word)


@rows("bundle", "sidecar")
def test_sidecar_root(row):
    assert Sidecar.from_json(row).root == raw(row["root"])


def test_sidecar_root__of_different_sidecars__differs():
    rows = vectors("bundle", "sidecar")
    assert len({row["root"] for row in rows}) == len(rows) > 1


@rows("bundle", "recover_fail")
def test_recover_signer__bad_signature__raises(row):
    with pytest.raises(SignatureError):
        recover_signer(raw(row["digest"]), raw(row["signature"]))


@rows("native", "infer")
def test_native_infer(row):
    data = raw(row["data"])
    call = abi.decode_infer(data)
    assert call == abi.InferCall(
        raw(row["model_id"]), tuple(int(x) for x in row["inputs"]), abi.Assurance(row["min_assurance"]),
        row["accepts_open"],
    )  # fmt: skip
    assert data.startswith(abi.encode_infer(call))
    assert gas.required_gas(data) == row["gas"]
    assert gas.required_gas(data, is_static=True) == row["static_gas"]


@rows("native", "fail")
def test_native_fail(row):
    data = raw(row["data"])
    assert gas.required_gas(data) == row["gas"]
    reason = reason_of(raw(row["output"]))
    if reason is Reason.UNKNOWN_FUNCTION:
        assert data[:4] not in (abi.INFER, abi.INFER_OPEN, abi.RECEIPT, abi.ASSURANCE_OF)
        return
    with pytest.raises(CalldataError):
        (abi.decode_infer if data[:4] in (abi.INFER, abi.INFER_OPEN) else abi.decode_receipt_id)(data)


@rows("draw", "minus_log2")
def test_minus_log2(row):
    assert minus_log2(int(row["ticket"])) == int(row["expected"])


@rows("draw", "draw")
def test_draw(row):
    assert draw_seed(raw(row["block_hash"]), raw(row["salt"])) == raw(row["seed"])
    bonds = {operator: int(bond) for operator, bond in row["bonds"].items()}
    assert list(draw(raw(row["seed"]), raw(row["request_id"]), bonds)) == row["expected"]


@rows("attestation", "statement")
def test_statement(row):
    hashes, signed_at = [raw(word) for word in row["words"][:-1]], int(row["words"][-1])
    statement, place = Statement(*hashes, signed_at), (row["chain_id"], row["verifying_contract"])
    assert statement.digest(*place) == raw(row["digest"])
    assert statement.signer(raw(row["signature"]), *place) == row["signer"]


@rows("attestation", "identity")
def test_enclave_identity(row):
    assert enclave_identity(row["attester"], raw(row["measurement"])) == raw(row["identity"])


@rows("commitment", "commitment")
def test_commitment(row):
    request_id, hidden = raw(row["request_id"]), raw(row["hidden"])
    assert hide(request_id, raw(row["output_hash"]), raw(row["salt"]), row["operator"]) == hidden
    commitment = Commitment(request_id, hidden, row["operator"], raw(row["signature"]))
    assert commitment.digest(row["chain_id"], row["verifying_contract"]) == raw(row["digest"])
    assert commitment.signer(row["chain_id"], row["verifying_contract"]) == row["operator"]


@rows("commitment", "reveal")
def test_reveal(row):
    reveal = Reveal(raw(row["hidden"]), Bundle.from_json(row["bundle"]), raw(row["salt"]))
    assert reveal.holds is row["holds"]
    assert reveal.digest(31337, PRECOMPILE) == raw(row["digest"])


@rows("seeded", "seed")
def test_call_seed(row):
    parts = {
        key: raw(value) if key in ("model_id", "input_hash") else value
        for key, value in row.items()
        if key not in ("name", "seed")
    }
    assert call_seed(**parts) == raw(row["seed"])


def test_call_seed__differs_for_each_part():
    seeds = [row["seed"] for row in vectors("seeded", "seed")]
    assert len(set(seeds)) == len(seeds) == 8


@rows("seeded", "gumbel")
def test_gumbel(row):
    assert gumbel(raw(row["seed"]), row["step"], row["token"]) == int(row["noise"])


@rows("seeded", "sample")
def test_sample(row):
    assert sample(raw(row["seed"]), row["step"], [int(x) for x in row["logits"]]) == row["token"]
