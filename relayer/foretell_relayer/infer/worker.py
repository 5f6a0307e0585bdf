"""The side of a process that stays: one JSON request a line on standard input, one JSON answer a line back.

Started as ``python -m foretell_relayer.infer.worker MEMORY FILE READS...`` by ``client``, where the last are
the files that it may read; it writes to its own folder alone, and opens no socket. It ends when its input
does, which also happens when its parent dies, and after a panic of EZKL, whose state nobody can vouch for
afterwards.
"""

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from foretell_relayer.prove import confine, limits
from foretell_relayer.prove.runner import answer


def main() -> NoReturn:
    """Answer requests until there are no more."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    limits.apply(int(sys.argv[1]), int(sys.argv[2]))
    confine.apply(sys.argv[3:], [str(Path.cwd())], network=False)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        reply = answer(request["task"], request["arguments"])
        channel.write(json.dumps(reply).encode() + b"\n")
        channel.flush()
        if reply.get("kind") in ("panic", "memory"):
            break
    os._exit(0)


if __name__ == "__main__":
    main()
