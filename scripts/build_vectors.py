"""Write tests/vectors/*.json: success and failure vectors that Python, the VM and the Vyper modules share.

Expected values of tensors and divergence are written out by hand; ids, digests and signatures are computed
from the specification and held fixed by the files, so that no change to them goes unnoticed.

    python scripts/build_vectors.py           write the files
    python scripts/build_vectors.py --check   compare them with what would be written
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak

from foretell_spec import abi, gas
from foretell_spec.addresses import PRECOMPILE, SETTLEMENT
from foretell_spec.assurance import Assurance
from foretell_spec.attestation import Statement, enclave_identity
from foretell_spec.bundle import Bundle, batch_digest
from foretell_spec.commitment import seal
from foretell_spec.divergence import DeterminismClass
from foretell_spec.draw import draw, draw_seed, minus_log2
from foretell_spec.manifest import ZERO_HASH, Manifest
from foretell_spec.reasons import Reason, revert_data
from foretell_spec.request import call_seed, precompile_request_id
from foretell_spec.sampling import gumbel, sample
from foretell_spec.settlement import Delivery, Policy, Request, ask_digest
from foretell_spec.sidecar import Answer, Dissent, Sidecar
from foretell_spec.tensor import (
    FIELD_MODULUS,
    QUANTISED_LIMIT,
    WAD,
    WAD_LIMIT,
    quantise,
    tensor_hash,
)
from foretell_spec.terms import Terms

FOLDER = Path(__file__).parent.parent / "tests" / "vectors"
CHAIN_ID = 31337
KEY = PrivateKey(b"\x01" * 32)
HALF_STEP = WAD // 2**9
"""Half of one step at scale 8."""

Vectors = dict[str, list[dict[str, Any]]]


def main(arguments: list[str]) -> int:
    """Write or check every file; the exit status is the number of files that differ."""
    makers = {
        "tensor": tensors,
        "divergence": divergences,
        "manifest": manifests,
        "attestation": attestations,
        "bundle": bundles,
        "native": native_calls,
        "draw": draws,
        "commitment": commitments,
        "seeded": seeded,
        "settlement": settlements,
    }
    stale = 0
    for name, make in makers.items():
        path, text = FOLDER / f"{name}.json", json.dumps(make(), indent=1) + "\n"
        if "--check" in arguments:
            stale += path.read_text() != text
        else:
            path.write_text(text)
    if stale:
        print(f"{stale} vector files differ from the specification: run python scripts/build_vectors.py")
    return stale


def tensors() -> Vectors:
    """Quantisation by hand: rounding half up, both signs, both ends of the range."""
    quantised = [
        ("zero", 0, 8, 0),
        ("one at scale 0", WAD, 0, 1),
        ("one at scale 8", WAD, 8, 256),
        ("one at scale 18", WAD, 18, 262144),
        ("minus one at scale 8", -WAD, 8, -256),
        ("half a step rounds up", HALF_STEP, 8, 1),
        ("just under half a step rounds down", HALF_STEP - 1, 8, 0),
        ("minus half a step rounds up to zero", -HALF_STEP, 8, 0),
        ("just over minus half a step rounds down", -HALF_STEP - 1, 8, -1),
        ("one and a half steps round up", 3 * HALF_STEP, 8, 2),
        ("minus one and a half steps round up", -3 * HALF_STEP, 8, -1),
        ("one wei", 1, 18, 0),
        ("minus one wei", -1, 18, 0),
        ("a return of 1.2345 percent at scale 10", 1_234_500_000_000_000_000, 10, 1264),
    ]
    ends = [("largest", WAD_LIMIT - 1), ("smallest", 1 - WAD_LIMIT)]
    return {
        "quantise": [{"name": n, "wad": str(x), "scale": s, "expected": str(q)} for n, x, s, q in quantised]
        + [
            {"name": f"{n} at scale {s}", "wad": str(x), "scale": s, "expected": str(quantise([x], s)[0])}
            for n, x in ends
            for s in (0, 18)
        ],
        "quantise_fail": [
            {"name": "over the range", "wad": str(WAD_LIMIT), "scale": 8},
            {"name": "under the range", "wad": str(-WAD_LIMIT), "scale": 8},
            {"name": "largest int256", "wad": str(2**255 - 1), "scale": 0},
            {"name": "smallest int256", "wad": str(-(2**255)), "scale": 0},
            {"name": "scale over 18 bits", "wad": "0", "scale": 19},
            {"name": "largest scale word", "wad": "0", "scale": 255},
        ],
        "dequantise": [
            {"name": "one step at scale 8", "quantised": "1", "scale": 8, "expected": "3906250000000000"},
            {"name": "one step at scale 18", "quantised": "1", "scale": 18, "expected": "3814697265625"},
            {
                "name": "minus five at scale 2",
                "quantised": "-5",
                "scale": 2,
                "expected": "-1250000000000000000",
            },
            {"name": "integers at scale 0", "quantised": "7", "scale": 0, "expected": "7000000000000000000"},
        ],
        "felt": [
            {"name": "zero", "quantised": "0", "felt": "0"},
            {"name": "minus one", "quantised": "-1", "felt": str(FIELD_MODULUS - 1)},
            {"name": "largest", "quantised": str(QUANTISED_LIMIT - 1), "felt": str(QUANTISED_LIMIT - 1)},
            {
                "name": "smallest",
                "quantised": str(1 - QUANTISED_LIMIT),
                "felt": str(FIELD_MODULUS + 1 - QUANTISED_LIMIT),
            },
        ],
        "felt_fail": [
            {"name": "over the range", "quantised": str(QUANTISED_LIMIT)},
            {"name": "under the range", "quantised": str(-QUANTISED_LIMIT)},
            {"name": "the modulus", "quantised": str(FIELD_MODULUS)},
        ],
        "hash": [
            {"name": name, "values": [str(v) for v in values], "expected": "0x" + tensor_hash(values).hex()}
            for name, values in [
                ("empty", []),
                ("one zero", [0]),
                ("two zeros", [0, 0]),
                ("signs", [1, -1]),
                ("signs swapped", [-1, 1]),
            ]
        ],
    }


def divergences() -> Vectors:
    """Relation and decider by hand; numbers as in ``foretell_spec.divergence``."""
    big = 2**255 - 1
    rows: list[tuple[str, int, list[int], list[int], int, int, int]] = [
        ("circuit, equal", 0, [1, 2], [1, 2], 0, 0, 0),
        ("circuit, one apart: tolerance does not count", 0, [1, 2], [1, 3], 100, 2, 1),
        ("circuit, lengths differ", 0, [1], [1, 0], 0, 2, 1),
        ("circuit, empty against empty", 0, [], [], 0, 0, 0),
        ("integer, one apart", 1, [5], [6], 0, 2, 2),
        ("float, equal", 2, [5], [5], 0, 0, 0),
        ("float, at the tolerance", 2, [5, -5], [8, -8], 3, 1, 0),
        ("float, over the tolerance", 2, [5, -5], [5, -9], 3, 2, 3),
        ("float, no tolerance", 2, [5], [6], 0, 2, 3),
        ("float, lengths differ", 2, [5], [5, 5], 10, 2, 3),
        ("float, the two ends of int256", 2, [big], [-big - 1], big, 2, 3),
        ("seeded, another token", 3, [11, 12], [11, 13], 5, 2, 4),
        ("open, another text", 4, [1], [2], 0, 2, 5),
        ("open, the same text", 4, [1], [1], 0, 0, 0),
    ]
    return {
        "judge": [
            {
                "name": name,
                "determinism": determinism,
                "first": [str(v) for v in first],
                "second": [str(v) for v in second],
                "tolerance": str(tolerance),
                "relation": relation,
                "decider": decider,
            }
            for name, determinism, first, second, tolerance, relation, decider in rows
        ],
        "judge_fail": [
            {"name": "no such class", "determinism": 5, "first": ["1"], "second": ["2"], "tolerance": "0"}
        ],
    }


def example_manifest() -> Manifest:
    """A small circuit's manifest with a distinct value in every field."""
    return Manifest(
        determinism=DeterminismClass.CIRCUIT,
        publisher=PRECOMPILE,
        metadata_hash=b"\x11" * 32,
        input_size=2,
        output_size=1,
        input_scale=8,
        output_scale=9,
        input_min=-1024,
        input_max=2048,
        tolerance=10**16,
        verifier_code_hash=b"\x22" * 32,
        vka_digest=b"\x33" * 32,
        enclave_measurement=b"\x44" * 32,
        challenge_window=600,
        proof_window=1200,
    )


def manifests() -> Vectors:
    """One id for each field changed, alone where the rules let it: none is left out of the hash."""
    base = example_manifest()
    changes: list[dict[str, Any]] = [
        {},
        {"determinism": DeterminismClass.INTEGER, "verifier_code_hash": ZERO_HASH},
        {"publisher": SETTLEMENT},
        {"metadata_hash": b"\x12" * 32},
        {"input_size": 3},
        {"output_size": 2},
        {"input_scale": 7},
        {"output_scale": 10},
        {"input_min": -1025},
        {"input_max": 2049},
        {"tolerance": 0},
        {"verifier_code_hash": b"\x23" * 32},
        {"vka_digest": b"\x34" * 32},
        {"enclave_measurement": b"\x45" * 32},
        {"challenge_window": 601},
        {"proof_window": 1201},
    ]
    return {
        "model_id": [
            {
                "name": ", ".join(change) or "base",
                "words": [_word(word) for word in replace(base, **change).words()],
                "model_id": "0x" + replace(base, **change).model_id.hex(),
            }
            for change in changes
        ]
    }


def settlements() -> Vectors:
    """Ids of requests, commitments to deliveries, and what requesters and operators sign of them."""
    manifest = example_manifest()
    requester = KEY.public_key.to_checksum_address()
    terms = Terms.of(manifest)
    policy = Policy(4, True, 300_000, 1_700_000_600, 2 * WAD)
    request = Request(
        requester, 3, manifest.model_id, tensor_hash((256, -512)), terms.word, policy, WAD, 1_700_000_000
    )
    receipt = replace(request, policy=replace(policy, min_assurance=1), from_receipt=True)
    delivery = Delivery(requester, tensor_hash((77,)), 1_700_000_012, 5)
    disputed = replace(
        delivery,
        challenger=SETTLEMENT,
        challenger_output_hash=tensor_hash((78,)),
        disputed_at=1_700_000_024,
        compensation=7,
    )
    ask = (requester, 3, request.model_id, request.input_hash, policy, WAD)
    hashes = [keccak(text=f"bundle {index}") for index in range(3)]
    return {
        "terms": [
            {"name": name, "word": str(each.word), **_fields(each)}
            for name, each in [("open", terms), ("stopped", replace(terms, is_open=False))]
        ],
        "request": [
            {
                "name": name,
                "chain_id": CHAIN_ID,
                "settlement": SETTLEMENT,
                **_fields(each),
                "request_id": _hex(each.id(CHAIN_ID, SETTLEMENT)),
            }
            for name, each in [("asked", request), ("receipt", receipt)]
        ],
        "delivery": [
            {"name": name, **_fields(each), "commitment": str(each.commitment)}
            for name, each in [("empty", Delivery()), ("delivered", delivery), ("disputed", disputed)]
        ],
        "ask": [
            {
                "name": "signed by a requester",
                "chain_id": CHAIN_ID,
                "settlement": SETTLEMENT,
                **_fields(replace(request, created_at=0)),
                "digest": _hex(ask_digest(CHAIN_ID, SETTLEMENT, *ask)),
            }
        ],
        "batch": [
            {
                "name": f"of {count}",
                "chain_id": CHAIN_ID,
                "verifying_contract": SETTLEMENT,
                "struct_hashes": [_hex(each) for each in hashes[:count]],
                "digest": _hex(batch_digest(CHAIN_ID, SETTLEMENT, hashes[:count])),
            }
            for count in range(4)
        ],
    }


def _fields(struct: Any) -> dict[str, Any]:
    """Fields of a struct, those of its policy beside them."""
    values = asdict(struct)
    return {name: _word(value) for name, value in {**values, **values.pop("policy", {})}.items()}


def _word(value: object) -> str:
    return (
        "0x" + value.hex()
        if isinstance(value, bytes)
        else str(int(value) if isinstance(value, int) else value)
    )


def bundles() -> Vectors:
    """Digests, signatures that recover, and signatures that must not."""
    model_id = example_manifest().model_id
    operator = KEY.public_key.to_checksum_address()
    request_id = precompile_request_id(CHAIN_ID, model_id, tensor_hash((256, -512)))
    bundle = Bundle(request_id, model_id, (256, -512), (77,), operator).signed(KEY, CHAIN_ID, PRECOMPILE)
    proven = replace(bundle, proof=b"\xab" * 64)
    digest = bundle.digest(CHAIN_ID, PRECOMPILE)
    r, s, v = bundle.signature[:32], int.from_bytes(bundle.signature[32:64], "big"), bundle.signature[64]
    twin = r + (SECPK1_N - s).to_bytes(32, "big") + bytes([55 - v])
    bad = {
        "malleable twin": twin,
        "v of 0": bundle.signature[:64] + bytes([v - 27]),
        "v of 29": bundle.signature[:64] + b"\x1d",
        "r and s of zero": b"\0" * 64 + b"\x1b",
        "r over the order": b"\xff" * 32 + bundle.signature[32:],
    }
    return {
        "bundle": [
            {
                "name": name,
                "chain_id": CHAIN_ID,
                "verifying_contract": PRECOMPILE,
                **value.to_json(),
                "input_hash": _hex(value.input_hash),
                "output_hash": _hex(value.output_hash),
                "digest": _hex(digest),
                "signer": operator,
                "receipt_id": _hex(value.receipt_id),
                "hash": _hex(value.hash),
            }
            for name, value in [("signed", bundle), ("with a proof", proven)]
        ],
        "sidecar": _sidecars(bundle, proven),
        "recover_fail": [
            {"name": name, "digest": _hex(digest), "signature": _hex(signature)}
            for name, signature in bad.items()
        ],
    }


def _sidecars(bundle: Bundle, proven: Bundle) -> list[dict[str, Any]]:
    """Sidecars that differ in one thing each, and their roots."""
    key = PrivateKey(b"\x02" * 32)
    peer = replace(bundle, operator=key.public_key.to_checksum_address()).signed(key, CHAIN_ID, PRECOMPILE)
    liar = replace(peer, outputs=(78,)).signed(key, CHAIN_ID, PRECOMPILE)
    one, two = Answer.of(bundle), Answer.of(proven)
    made = {
        "none": Sidecar(),
        "one": Sidecar((one,)),
        "two": Sidecar((one, two)),
        "two swapped": Sidecar((two, one)),
        "agreed": Sidecar((Answer((77,), (bundle, peer)),)),
        "agreed, the other leads": Sidecar((Answer((77,), (peer, bundle)),)),
        "agreed on another value": Sidecar((Answer((78,), (bundle, peer)),)),
        "one with a dissent": Sidecar((one,), (Dissent(bundle, liar),)),
        "one with the dissent swapped": Sidecar((one,), (Dissent(liar, bundle),)),
    }
    return [{"name": name, **each.to_json(), "root": _hex(each.root)} for name, each in made.items()]


def native_calls() -> Vectors:
    """Calldata of the precompile with its gas, in the form of go-ethereum's precompile vectors."""
    model_id = example_manifest().model_id
    good = abi.encode_infer(abi.InferCall(model_id, (WAD, -2 * WAD), Assurance.SIGNED))
    agreed = abi.encode_infer(abi.InferCall(model_id, (WAD, -2 * WAD), Assurance.AGREED))
    proven = abi.encode_infer(abi.InferCall(model_id, (WAD, -2 * WAD), Assurance.PROVEN))
    open_too = abi.encode_infer(abi.InferCall(model_id, (WAD, -2 * WAD), Assurance.SIGNED, accepts_open=True))
    words = [good[4 + at : 36 + at] for at in range(0, len(good) - 4, 32)]

    def with_word(index: int, value: int) -> bytes:
        return good[:4] + b"".join(
            value.to_bytes(32, "big") if i == index else w for i, w in enumerate(words)
        )

    bad = {
        "selector alone": good[:4],
        "a word short": good[:-32],
        "a byte short": good[:-1],
        "a byte long": good + b"\0",
        "a trailing word that is not zero": good + b"\0" * 31 + b"\1",
        "padding over the greatest size": good + b"\0" * 32 * 255,
        "inputs elsewhere": with_word(1, 128),
        "offset wraps": with_word(1, 2**256 - 32),
        "assurance of none": with_word(2, 0),
        "assurance over PROVEN": with_word(2, 5),
        "assurance with a high bit": with_word(2, 2**255 + 1),
        "length over the data": with_word(3, 3),
        "length under the data": with_word(3, 1),
        "largest length": with_word(3, 2**256 - 1),
        "infer_open, a word short": open_too[:-32],
        "over 256 inputs": abi.encode_infer(abi.InferCall(model_id, (0,) * 257, Assurance.SIGNED)),
        "receipt without an argument": abi.RECEIPT,
        "receipt with two": abi.RECEIPT + b"\0" * 64,
    }
    unknown = {
        "no calldata": b"",
        "selector cut short": good[:3],
        "another function": b"\xde\xad\xbe\xef" + good[4:],
    }
    return {
        "infer": [
            {
                "name": name,
                "data": _hex(data),
                "model_id": _hex(model_id),
                "inputs": [str(WAD), str(-2 * WAD)],
                "min_assurance": int(level),
                "accepts_open": data is open_too,
                "gas": gas.required_gas(data),
                "static_gas": gas.required_gas(data, is_static=True),
            }
            for name, data, level in [
                ("signed", good, Assurance.SIGNED),
                ("agreed", agreed, Assurance.AGREED),
                ("proven", proven, Assurance.PROVEN),
                ("infer_open", open_too, Assurance.SIGNED),
                ("padded to the greatest size, as Vyper does", good + b"\0" * 32 * 254, Assurance.SIGNED),
            ]
        ],
        "fail": [
            {
                "name": name,
                "data": _hex(data),
                "gas": gas.required_gas(data),
                "output": _hex(revert_data(reason)),
            }
            for group, reason in [(bad, Reason.BAD_CALLDATA), (unknown, Reason.UNKNOWN_FUNCTION)]
            for name, data in group.items()
        ],
    }


def draws() -> Vectors:
    """Logarithms, and the order in which operators are asked."""
    request_id, seed = keccak(text="request"), draw_seed(keccak(text="block"), keccak(text="salt"))
    operators = [PrivateKey(bytes([index]) * 32).public_key.to_checksum_address() for index in range(1, 6)]
    alike = dict.fromkeys(operators, 10**18)
    bonds = {
        "equal bonds": alike,
        "one with a thousandfold": {**alike, operators[4]: 10**21},
        "one without a bond": {**alike, operators[0]: 0},
        "a wei against 2**96": {operators[0]: 1, operators[1]: 2**96},
        "nobody": {},
    }
    tickets = {"0": 0, "1": 1, "2**255 - 1": 2**255 - 1, "2**255": 2**255, "2**256 - 1": 2**256 - 1}
    return {
        "minus_log2": [
            {"name": name, "ticket": _word(ticket), "expected": str(minus_log2(ticket))}
            for name, ticket in tickets.items()
        ],
        "draw": [
            {
                "name": name,
                "block_hash": _hex(keccak(text="block")),
                "salt": _hex(keccak(text="salt")),
                "seed": _hex(seed),
                "request_id": _hex(request_id),
                "bonds": {operator: str(bond) for operator, bond in each.items()},
                "expected": list(draw(seed, request_id, each)),
            }
            for name, each in bonds.items()
        ],
    }


def commitments() -> Vectors:
    """Commitments with the reveals that open them, or do not."""
    operator = KEY.public_key.to_checksum_address()
    model_id, salt = example_manifest().model_id, keccak(text="salt")
    request_id = precompile_request_id(CHAIN_ID, model_id, tensor_hash((256, -512)))
    bundle = Bundle(request_id, model_id, (256, -512), (77,), operator).signed(KEY, CHAIN_ID, PRECOMPILE)
    commitment, reveal = seal(bundle, salt, KEY, CHAIN_ID, PRECOMPILE)
    other = replace(bundle, outputs=(78,)).signed(KEY, CHAIN_ID, PRECOMPILE)
    peer = PrivateKey(b"\x02" * 32)
    copied = replace(bundle, operator=peer.public_key.to_checksum_address()).signed(
        peer, CHAIN_ID, PRECOMPILE
    )
    made = {
        "opens it": reveal,
        "another output": replace(reveal, bundle=other),
        "another salt": replace(reveal, salt=keccak(text="another salt")),
        "another's copy of the commitment": replace(reveal, bundle=copied),
    }
    return {
        "commitment": [
            {
                "name": "signed",
                "request_id": _hex(request_id),
                "output_hash": _hex(bundle.output_hash),
                "salt": _hex(salt),
                "operator": operator,
                "hidden": _hex(commitment.hidden),
                "chain_id": CHAIN_ID,
                "verifying_contract": PRECOMPILE,
                "digest": _hex(commitment.digest(CHAIN_ID, PRECOMPILE)),
                "signature": _hex(commitment.signature),
            }
        ],
        "reveal": [
            {
                "name": name,
                "hidden": _hex(each.hidden),
                "salt": _hex(each.salt),
                "bundle": each.bundle.to_json(),
                "digest": _hex(each.digest(CHAIN_ID, PRECOMPILE)),
                "holds": each.holds,
            }
            for name, each in made.items()
        ],
    }


def attestations() -> Vectors:
    """What an enclave signs: one digest for each field changed, alone."""
    one, two, three, four, five = (bytes([number]) * 32 for number in range(1, 6))
    base = Statement(one, two, three, four, five, signed_at=1_700_000_000)
    changes: list[dict[str, Any]] = [
        {},
        *({name: b"\x77" * 32} for name in ("request_id", "model_id", "input_hash", "output_hash", "seed")),
        {"signed_at": 1_700_000_001},
    ]
    made = [
        (", ".join(change) or "base", replace(base, **change), CHAIN_ID, SETTLEMENT) for change in changes
    ]
    made += [
        ("another chain", base, CHAIN_ID + 1, SETTLEMENT),
        ("for the precompile", base, CHAIN_ID, PRECOMPILE),
    ]
    return {
        "statement": [
            {
                "name": name,
                "words": [_word(word) for word in statement.words()],
                "chain_id": chain_id,
                "verifying_contract": contract,
                "digest": _hex(statement.digest(chain_id, contract)),
                "signature": _hex(statement.sign(KEY, chain_id, contract)),
                "signer": KEY.public_key.to_checksum_address(),
            }
            for name, statement, chain_id, contract in made
        ],
        "identity": [
            {
                "name": name,
                "attester": attester,
                "measurement": _hex(measurement),
                "identity": _hex(enclave_identity(attester, measurement)),
            }
            for name, attester, measurement in (
                ("base", PRECOMPILE, b"\x11" * 32),
                ("attester", SETTLEMENT, b"\x11" * 32),
                ("measurement", PRECOMPILE, b"\x12" * 32),
            )
        ],
    }


def seeded() -> Vectors:
    """Seeds of calls, each with one part changed, and what they make of logits."""
    base: dict[str, Any] = {
        "chain_id": CHAIN_ID,
        "origin": SETTLEMENT,
        "nonce": 7,
        "call_index": 0,
        "caller": PRECOMPILE,
        "model_id": b"\x11" * 32,
        "input_hash": tensor_hash((1, 2, 3)),
    }
    changes: list[dict[str, Any]] = [
        {}, {"chain_id": 1}, {"origin": PRECOMPILE}, {"nonce": 8}, {"call_index": 1}, {"caller": SETTLEMENT},
        {"model_id": b"\x12" * 32}, {"input_hash": tensor_hash((1, 2, 4))},
    ]  # fmt: skip
    seed = call_seed(**base)
    logits = [WAD, -WAD, 0, 3 * WAD // 2]
    return {
        "seed": [
            {
                "name": ", ".join(change) or "base",
                **{key: _hex(v) if isinstance(v, bytes) else v for key, v in (base | change).items()},
                "seed": _hex(call_seed(**(base | change))),
            }
            for change in changes
        ],
        "gumbel": [
            {
                "name": f"step {step}, token {token}",
                "seed": _hex(seed),
                "step": step,
                "token": token,
                "noise": str(gumbel(seed, step, token)),
            }
            for step, token in [(0, 0), (0, 1), (1, 0), (63, 50_000)]
        ],
        "sample": [
            {
                "name": f"step {step}",
                "seed": _hex(seed),
                "step": step,
                "logits": [str(logit) for logit in logits],
                "token": sample(seed, step, logits),
            }
            for step in range(6)
        ],
    }


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
