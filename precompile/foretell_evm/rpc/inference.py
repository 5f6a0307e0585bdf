"""JSON-RPC methods of this fork: what happens to inferences, and what blocks carry for them."""

from typing import Any

import rlp
from eth_utils import to_checksum_address

from foretell_evm.chain import ForetellChain
from foretell_evm.mempool import Entry, Stage
from foretell_evm.opening import describe
from foretell_evm.receipts import NO_RECEIPT, load_receipt
from foretell_evm.rpc.codec import Json, data, parse_data, quantity
from foretell_evm.rpc.selectors import require_block
from foretell_spec.bundle import Bundle
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import EXPLANATIONS, Reason


def why(chain: ForetellChain, transaction_hash: Any) -> Json:
    """Where a transaction is, what it waits for, or why it was evicted."""
    wanted = parse_data(transaction_hash, "hash", 32)
    found = chain.history.inclusion(wanted)
    if found is not None:
        return {
            "status": "included",
            "blockNumber": quantity(found.record.number),
            "index": quantity(found.index),
        }
    with chain.lock:
        entry, eviction = chain.mempool.get(wanted), chain.mempool.eviction(wanted)
        if entry is not None:
            return _pending_json(entry)
    if eviction is None:
        return {"status": "unknown"}
    reason = eviction.reason
    return {
        "status": "evicted",
        **_reason_json(reason),
        "detail": eviction.detail,
    }


def _reason_json(reason: Reason) -> Json:
    return {"reason": reason.name, "code": int(reason), "explanation": EXPLANATIONS[reason]}


def _pending_json(entry: Entry) -> Json:
    status: Json = {"status": entry.stage.value, "rounds": entry.rounds}
    if entry.stage is Stage.WAITING and entry.job is not None:
        status["request"] = _job_json(entry.job)
    if entry.stage is Stage.READY and entry.is_crowded_out:
        status |= _reason_json(Reason.BLOCK_LIMIT)
    return status


def _job_json(job: InferenceJob) -> Json:
    return {
        "requestId": data(job.request_id),
        "modelId": data(job.model_id),
        "minAssurance": int(job.min_assurance),
    }


def pool(chain: ForetellChain) -> Json:
    """Transactions and questions under way, operators, and answers that disagree."""
    with chain.lock:
        entries = list(chain.mempool)
    return {
        "transactions": [
            {
                "hash": data(entry.transaction.hash),
                "from": to_checksum_address(entry.transaction.sender),
                "nonce": quantity(entry.transaction.nonce),
                **_pending_json(entry),
            }
            for entry in entries
        ],
        "requests": [_job_json(job) for job in chain.pool.pending],
        "operators": list(chain.pool.operators),
        "dissents": [dissent.to_json() for dissent in chain.pool.dissents()],
        "brokenReveals": [reveal.to_json() for reveal in chain.pool.broken_reveals],
    }


def dissents(chain: ForetellChain) -> list[Json]:
    """Different outputs that bonded operators signed for one request, in the form that contracts take."""
    return [
        {
            "requestId": data(each.request_id),
            "modelId": data(each.first.model_id),
            "inputs": [str(q) for q in each.first.inputs],
            "claims": [_claim_json(each.first), _claim_json(each.second)],
        }
        for each in chain.pool.dissents()
    ]


def _claim_json(bundle: Bundle) -> Json:
    return {
        "operator": bundle.operator,
        "outputs": [str(q) for q in bundle.outputs],
        "receiptId": data(bundle.receipt_id),
        "signature": data(bundle.signature),
        "proof": data(bundle.proof),
    }


def receipt(chain: ForetellChain, receipt_id: Any, block: Any = "latest") -> Json | None:
    """The precompile's receipt of a result."""
    found = load_receipt(chain.state(require_block(chain, block)), parse_data(receipt_id, "receipt id", 32))
    if found == NO_RECEIPT:
        return None
    return {
        "requestId": data(found.request_id),
        "modelId": data(found.model_id),
        "inputHash": data(found.input_hash),
        "outputHash": data(found.output_hash),
        "operator": found.operator,
        "assurance": int(found.assurance),
        "assuranceName": found.assurance.name,
        "blockNumber": quantity(found.block_number),
    }


def describe_chain(chain: ForetellChain) -> Json:
    """``foretell_chain``: what somebody needs to build this chain's genesis."""
    return describe(chain.config).model_dump()


def sidecar(chain: ForetellChain, block: Any = "latest") -> Json:
    """What a full node needs to import a block: RLP, hash, answers used and dissents known."""
    record = require_block(chain, block)
    return {
        "blockNumber": quantity(record.number),
        "blockHash": data(record.block.hash),
        "root": data(record.header.extra_data),
        **record.sidecar.to_json(),
        "block": data(rlp.encode(record.block)),
    }
