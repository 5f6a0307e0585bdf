"""Inference: a circuit's witness, or an ONNX graph's output, from a process that stays, so that an answer
costs milliseconds.
"""
