"""What an inference *is*: numbers, models, requests, bundles, digests, the native ABI, gas and divergence.

Everything here is a pure function of its arguments: no files, no network, no EVM and no model runtime.
The VM, the Vyper modules and the relayer all follow these definitions, and share the vectors that test them.
"""
