"""Programs that build, check and show the project; run them with ``python -m scripts.NAME``."""
