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
BASIC: Final = "basic"
EXTENDED: Final = "extended"
TWO_THREADS: Final = "2 threads"
FOUR_THREADS: Final = "4 threads"
REFERENCE: Final = "reference"
"""Other ways to run a model: with less optimisation or none, with more threads, and by ONNX's own reference
implementation, which shares no kernel with ONNX Runtime.
"""

OTHERS: Final = (NO_OPTIMISATION, BASIC, EXTENDED, TWO_THREADS, FOUR_THREADS, REFERENCE)
