"""How this version runs an ONNX model: the runtime profile that a model of class FLOAT or SEEDED pins.

Its values are those of one version of ONNX Runtime with these settings, each sample on its own (a batch of
1): more threads, other optimisations and batches take other paths through the kernels, whose sums differ in
their last bits.
"""

from typing import Final

NAME: Final = "onnxruntime"
PROVIDER: Final = "CPUExecutionProvider"
THREADS: Final = 1
BATCH: Final = 1
OPTIMISATION: Final = "all"

NO_OPTIMISATION: Final = "disabled"
REFERENCE: Final = "reference"
"""Other ways to run a model: without optimisation, and by ONNX's own reference implementation, which shares
no kernel with ONNX Runtime.
"""
