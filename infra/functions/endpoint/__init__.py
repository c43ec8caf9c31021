"""Tells the stack where devices connect."""
