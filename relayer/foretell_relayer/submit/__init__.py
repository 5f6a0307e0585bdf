"""Submitting: transactions that are journalled before they leave, followed until their fate is certain."""
