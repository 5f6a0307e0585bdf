"""An operator's tools: orders to a running relayer, its books, its health, and what to mend."""
