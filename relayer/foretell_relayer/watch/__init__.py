"""Watching: what confirmed blocks say about requests, read once and in order, and read again where blocks
changed.
"""
