"""Provides the endpoint for devices to the stack."""
