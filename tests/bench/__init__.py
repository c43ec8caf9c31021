"""`make bench`: what a reading costs, beside the usual ways to consume a stream. docs/performance.md tells the figures.

Every system under measurement is a process of its own and gets the same recorded input; what feeds it (`feed`,
`stream`) and what it writes to (`sink`) are other processes, whose CPU time does not count.
"""
