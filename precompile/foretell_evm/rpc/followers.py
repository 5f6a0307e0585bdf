"""What a node refuses that follows another one: it makes no blocks, and nobody may change its state."""

from typing import Final

from foretell_evm.errors import RpcError
from foretell_evm.following import Follower

_DEVELOPMENT: Final = ("evm_", "anvil_", "hardhat_")
_READS: Final = frozenset(
    {"dumpState", "getAutomine", "getGenesisTime", "getIntervalMining", "metadata", "nodeInfo"}
)
_SENDS: Final = frozenset({"eth_sendTransaction", "eth_sendUnsignedTransaction"})
_NOT_SUPPORTED: Final = -32004


def refuse_changes(follower: Follower, method: str) -> None:
    """Let methods pass that read, and ``eth_sendRawTransaction``, which is forwarded.

    Raises:
        RpcError: the method would change the chain.
    """
    changes = method.startswith(_DEVELOPMENT) and method.split("_", 1)[1] not in _READS
    if changes or method in _SENDS:
        raise RpcError(_NOT_SUPPORTED, f"{method}: this node follows {follower.url}, and changes nothing")
