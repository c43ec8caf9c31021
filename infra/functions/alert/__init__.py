"""Tells the topic of a humidity under the threshold."""
