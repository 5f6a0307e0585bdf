"""The relayer under faults: the promises of docs/guides/operator.md, each with the seed it was kept with."""
