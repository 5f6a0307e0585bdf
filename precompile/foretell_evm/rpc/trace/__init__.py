"""``debug_trace*``: geth's tracers, run on watched states."""
