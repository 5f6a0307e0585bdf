"""Errors of this package, each with a stable code.

EvmError
├── TransactionRejected   E-TX-001   a transaction that the mempool does not take; the message says why
├── InferenceUnavailable  E-INF-001  an inference without an answer; ``reason`` says why; retry later
├── EvidenceError         E-EVD-001  a bundle whose evidence does not hold; never retry the same bundle
├── BlockRejected         E-BLK-001  a block or sidecar that breaks a rule; ``rule`` names it
├── UnknownBlock          E-BLK-002  a block that the chain does not have
├── ConfigError           E-CFG-001  a configuration that makes no chain
├── StoreError            E-STO-001  the chain's database cannot be used
├── DumpError             E-STO-002  what should be a dumped state is none
├── ServerError           E-NET-001  the JSON-RPC server cannot start
└── UpstreamError         E-NET-002  another node that cannot be asked, or does not answer as a node does

RpcError stands apart: it is what a JSON-RPC client sees, with the code that geth and anvil use.
"""

from typing import Any

from foretell_spec.reasons import EXPLANATIONS, Reason


class EvmError(Exception):
    """Base of this package's errors."""

    code = "E-000"
    hint = ""


class TransactionRejected(EvmError):
    """A transaction that the mempool does not take."""

    code = "E-TX-001"


class InferenceUnavailable(EvmError):
    """An inference for which no usable answer came."""

    code = "E-INF-001"

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        text = f"{reason.name}: {EXPLANATIONS[reason]}"
        super().__init__(f"{text} ({detail})" if detail else text)


class EvidenceError(EvmError):
    """A bundle whose evidence does not hold."""

    code = "E-EVD-001"


class BlockRejected(EvmError):
    """A block or a sidecar that breaks a rule."""

    code = "E-BLK-001"

    def __init__(self, rule: str, detail: str) -> None:
        self.rule = rule
        self.detail = detail
        super().__init__(f"{rule}: {detail}")


class UnknownBlock(EvmError):
    """A block that the chain does not have."""

    code = "E-BLK-002"


class ConfigError(EvmError):
    """A configuration that makes no chain."""

    code = "E-CFG-001"


class StoreError(EvmError):
    """The chain's database cannot be used."""

    code = "E-STO-001"


class DumpError(EvmError):
    """What should be a dumped state is none."""

    code = "E-STO-002"


class ServerError(EvmError):
    """The JSON-RPC server cannot start."""

    code = "E-NET-001"


class UpstreamError(EvmError):
    """Another node that cannot be asked, or does not answer as a node does."""

    code = "E-NET-002"


class RpcError(EvmError):
    """A JSON-RPC error: ``rpc_code`` as geth and anvil use it (3 for a revert), ``data`` as they fill it."""

    code = "E-RPC-001"

    def __init__(self, rpc_code: int, message: str, data: Any = None) -> None:
        self.rpc_code = rpc_code
        self.data = data
        super().__init__(message)
