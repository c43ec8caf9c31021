"""The consumer's real code in a simulated world: see docs/decisions/0010-simulation.md and __main__.py."""
