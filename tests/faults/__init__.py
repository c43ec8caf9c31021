"""`python -m tests.faults`: the real system under load, one fault at a time, audited at both ends after each."""
