"""The project's own tests are for `ape test` on a copy of it (see ../test_ape_provider.py), not for here."""

collect_ignore = ["tests"]
