"""Publishes a reading under, or over, the threshold to the topic."""
