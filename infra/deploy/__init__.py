"""Deployment: `python -m infra deploy|plan|destroy|package` and `make push`."""
