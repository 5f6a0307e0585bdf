"""The journal's parts: where it is kept, how its form changes, and the books that it holds.

``foretell_relayer.store.Journal`` puts them together.
"""
