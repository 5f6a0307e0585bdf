"""Memory of a node over 10,000 blocks of transfers to new accounts, once its caches are full: its slope.

The first 10,000 blocks fill what is bounded (accounts, nodes, blocks, the mempool's memory of the last
transactions, and the rings of 8,191 slots in which EIP-4788 and EIP-2935 keep what each block tells them) and
do not count. The slope, in bytes a block, is the least-squares line through the resident memory of all later
samples; beside it stands how far the memory moved between the halves of these.

Bar: a slope of at most 200 bytes a block, which is 2 MB over all of them.

Run: ``python scripts/bench/flat_memory.py``
"""

import gc
import statistics
from typing import Final

import click
import psutil

from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining

MAX_SLOPE: Final = 200.0
WARM_UP: Final = 10_000
_SAMPLES: Final = 100
_TRANSFERS: Final = 2


def add_block(chain: ForetellChain, number: int) -> None:
    """One block of transfers to accounts that nobody has seen."""
    sender = chain.accounts[number % len(chain.accounts)].address
    for index in range(_TRANSFERS):
        fields = {"from": sender, "to": f"0x{number * _TRANSFERS + index + 2**80:040x}", "value": "0x1"}
        chain.rpc("eth_sendTransaction", [{**fields, "gas": hex(21_000)}])
    if len(chain.mine().block.transactions) != _TRANSFERS:
        raise SystemExit("a block lacks transactions")


def measure(chain: ForetellChain, blocks: int) -> list[tuple[int, int]]:
    """Block number and resident bytes, at equal distances."""
    process, samples = psutil.Process(), []
    for number in range(1, blocks + 1):
        add_block(chain, number)
        if number % max(1, blocks // _SAMPLES) == 0:
            gc.collect()
            samples.append((number, process.memory_info().rss))
    return samples


@click.command()
@click.option("--blocks", type=click.IntRange(WARM_UP + 1_000), default=20_000, show_default=True)
def main(blocks: int) -> None:
    """Measure. Exits 1 where the slope is over the bar."""
    with ForetellChain.create(ChainConfig(mining=Mining.MANUAL)) as chain:
        samples = measure(chain, blocks)
    counted = [(number, rss) for number, rss in samples if number > WARM_UP]
    slope = statistics.linear_regression(*zip(*counted, strict=True)).slope
    for number, rss in samples[:: len(samples) // 10]:
        print(f"block {number:>6}: {rss / 2**20:6.1f} MiB")
    middle = len(counted) // 2
    first, second = (
        statistics.median(rss for _, rss in part) / 2**20 for part in (counted[:middle], counted[middle:])
    )
    print(f"slope {slope:.0f} bytes a block; medians of the halves {first:.1f} and {second:.1f} MiB")
    if slope > MAX_SLOPE:
        raise SystemExit(f"over the bar of {MAX_SLOPE:g} bytes a block")


if __name__ == "__main__":
    main()
