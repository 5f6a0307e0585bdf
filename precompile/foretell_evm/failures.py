"""Why the EVM failed, in geth's words: wallets and test frameworks search error texts for them."""

from typing import Final

from eth import exceptions as evm
from eth.exceptions import VMError

_WORDS: Final[dict[type[VMError], str]] = {
    evm.ContractCreationCollision: "contract address collision",
    evm.FullStack: "stack limit reached 1024",
    evm.IncorrectContractCreationAddress: "contract address collision",
    evm.InsufficientFunds: "insufficient balance for transfer",
    evm.InsufficientStack: "stack underflow",
    evm.InvalidInstruction: "invalid opcode",
    evm.InvalidJumpDestination: "invalid jump destination",
    evm.OutOfBoundsRead: "return data out of bounds",
    evm.OutOfGas: "out of gas",
    evm.ReservedBytesInCode: "invalid code: must not begin with 0xef",
    evm.Revert: "execution reverted",
    evm.StackDepthLimit: "max call depth exceeded",
    evm.WriteProtection: "write protection",
}


def describe(error: VMError) -> str:
    """Geth's words for a failure; which opcode is the invalid one, behind a colon."""
    words = _WORDS.get(type(error))
    if words is None:
        return f"{type(error).__name__}: {error}"
    if isinstance(error, evm.InvalidInstruction):
        return f"{words}: {str(error).removeprefix('Invalid opcode ')}"
    return words
