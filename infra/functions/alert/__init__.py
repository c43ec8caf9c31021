"""Publishes a humidity under the threshold to the topic."""
