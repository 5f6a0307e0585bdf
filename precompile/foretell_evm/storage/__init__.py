"""What a node keeps of its chain: blocks, and the trie nodes behind their states."""
