"""The relayer: watches requests, runs models, proves their outputs and brings both to the chain."""
