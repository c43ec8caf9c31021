"""How unit tests run."""

from hypothesis import settings

# A busy machine must not fail a property: the time of one example says nothing about it.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
