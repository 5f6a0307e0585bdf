"""Circuits: EZKL behind one small API, every call of it in a child process of its own.

EZKL is native code that panics, aborts and crashes on bad input, holds the interpreter's lock while it
proves, and reads files that other people made. So no process of ours imports it: ``circuit`` describes
what can be done, ``sandbox`` starts a child with hard limits and turns each way to fail into an error with
a stable code, and ``runner`` and ``tasks`` are the child's side.
"""
