"""The fork: Ethereum's Prague rules and one native precompile that calls AI models.

Transactions are pre-executed outside blocks, their inferences answered in parallel by operators, and blocks
built from what is ready. Any full node checks the evidence and never needs a model.
"""

from foretell_evm.hashing import use_fast_keccak

use_fast_keccak()
