"""Answers queries for the newest readings of a device."""
