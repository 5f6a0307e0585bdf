"""Makes `tests` importable as a package of its own: some distributions ship a package of that name too."""
