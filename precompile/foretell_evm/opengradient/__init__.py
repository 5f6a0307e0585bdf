"""OpenGradient's contract interface, served from this chain's models (docs/guides/opengradient.md)."""
