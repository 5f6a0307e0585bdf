"""The local operator: right outputs, bound signatures, verified proofs, and a key that never shows."""

from dataclasses import replace

import pytest
from eth_keys import keys
from eth_utils import keccak

from foretell_relayer.models.errors import InsecureModel, UnknownModel
from foretell_relayer.models.proofs import ProofCache
from foretell_relayer.operator import Identity, LocalOperator
from foretell_relayer.prove import circuit
from foretell_relayer.prove.errors import WrongWitness
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.errors import TensorError
from foretell_spec.operator import InferenceJob, Operator
from tests.kit import models

KEY = keys.PrivateKey(keccak(text="signer of the operator"))
ADDRESS = keys.PrivateKey(keccak(text="bonded account")).public_key.to_checksum_address()
CHAIN_ID = 31337
INPUTS = tuple(1024 - 100 * n for n in range(22))


@pytest.fixture
def operator(store, tmp_path):
    with LocalOperator(Identity(ADDRESS, KEY), store, proofs=ProofCache(tmp_path / "proofs")) as started:
        yield started


@pytest.fixture
def job():
    return InferenceJob(
        request_id=keccak(text="request"),
        model_id=models.volatility().model_id,
        inputs=INPUTS,
        min_assurance=Assurance.SIGNED,
        chain_id=CHAIN_ID,
        verifying_contract=PRECOMPILE,
    )


@pytest.fixture
def proofs_made(monkeypatch):
    made, prove = [], circuit.prove
    monkeypatch.setattr(circuit, "prove", lambda *args, **more: made.append(args) or prove(*args, **more))
    return made


def test_answer__signed__binds_job_output_and_operator(operator: Operator, job, store):
    bundle = operator.answer(job)

    assert bundle.signer(CHAIN_ID, PRECOMPILE) == KEY.public_key.to_checksum_address()
    assert (bundle.request_id, bundle.model_id, bundle.inputs) == (job.request_id, job.model_id, job.inputs)
    assert bundle.outputs == circuit.witness(store.circuit(job.model_id).circuit, INPUTS)
    assert bundle.operator == operator.address == ADDRESS
    assert bundle.proof == b""


def test_answer__proven__carries_a_proof_of_that_output(operator, job, store):
    bundle = operator.answer(replace(job, min_assurance=Assurance.PROVEN))

    circuit.verify(store.circuit(job.model_id), bundle.inputs, bundle.outputs, bundle.proof)


def test_answer__proven_twice__proves_once(operator, job, proofs_made):
    proven = replace(job, min_assurance=Assurance.PROVEN)
    first = operator.answer(proven)
    second = operator.answer(replace(proven, request_id=keccak(text="another")))

    assert first.proof == second.proof
    assert len(proofs_made) == 1


def test_answer__cached_proof_damaged__proves_again(operator, job, proofs_made, tmp_path):
    proven = replace(job, min_assurance=Assurance.PROVEN)
    operator.answer(proven)
    (file,) = (path for path in (tmp_path / "proofs").rglob("*") if path.is_file())
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)

    operator.answer(proven)

    assert len(proofs_made) == 2


@pytest.mark.parametrize("chain_id", [1, 8453, 11155111])
def test_answer__insecure_srs_on_a_real_chain__is_refused(operator, job, chain_id):
    with pytest.raises(InsecureModel, match=f"R-MOD-007: .* chain {chain_id} is no development chain"):
        operator.answer(replace(job, chain_id=chain_id))


def test_answer__insecure_srs_accepted__answers_anywhere(store, job):
    with LocalOperator(Identity(ADDRESS, KEY), store, accept_insecure_srs=True) as operator:
        assert operator.answer(replace(job, chain_id=1)).outputs


def test_answer__unknown_model__is_an_error(operator, job):
    with pytest.raises(UnknownModel):
        operator.answer(replace(job, model_id=b"\1" * 32))


@pytest.mark.parametrize("inputs", [INPUTS[:-1], (*INPUTS, 0), (25 * 1024 + 1, *INPUTS[1:])])
def test_answer__input_outside_domain__is_refused(operator, job, inputs):
    with pytest.raises(TensorError):
        operator.answer(replace(job, inputs=inputs))


def test_answer__seed__is_signed_and_carried(operator, job):
    seed = keccak(text="seed")

    bundle = operator.answer(replace(job, seed=seed))

    assert bundle.seed == seed
    assert bundle.signer(CHAIN_ID, PRECOMPILE) == operator.signer


def test_prove__output_that_the_model_does_not_give__cannot_be_proved(operator, job):
    folder = models.volatility()
    right = operator.infer(folder, INPUTS)

    with pytest.raises(WrongWitness, match="R-PRV-010"):
        operator.prove(folder, INPUTS, (right[0] + 1,))


def test_key__never_shows(operator, job, capsys):
    operator.answer(job)
    secret = KEY.to_hex()[2:]
    shown = capsys.readouterr()

    texts = [
        repr(operator),
        str(operator),
        repr(Identity(ADDRESS, KEY)),
        str(Identity(ADDRESS, KEY)),
        shown.out,
        shown.err,
    ]
    assert not any(secret in text for text in texts)
    assert ADDRESS in repr(operator)


def test_prepare__circuits__are_there_before_the_first_job(operator, store):
    operator.prepare()

    assert store.circuit(models.volatility().model_id).pk.exists()
