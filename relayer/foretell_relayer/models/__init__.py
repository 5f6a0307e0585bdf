"""Models: their folders, their manifests, and how a user's ONNX file becomes one.

A folder holds what is published (``model.onnx``, ``manifest.json``, ``settings.json``, ``kzg.srs``,
``verifier.json``, ``samples.npz``); ``folder`` reads and writes it and trusts no byte that no hash vouches
for. Compiled circuit and keys are derived, large and kept in a cache (``store``). ``add`` makes a folder.
"""
