"""Inference: the integers of a circuit's witness, from a process that stays, so that an answer costs
milliseconds.
"""
