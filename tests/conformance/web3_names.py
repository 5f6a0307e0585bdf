"""What web3.py's tests expect of a node, told by their names."""

import re
from typing import Final

CHAIN_ID: Final = 131277322940537
_WITH_PENDING: Final = re.compile("replace_transaction(?!_already)|modify_transaction|unmined")


def needs_pending(test: str) -> bool:
    """Whether a test needs a node that does not put a transaction into a block at once."""
    return _WITH_PENDING.search(test) is not None
