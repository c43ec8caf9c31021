"""Pictures of the dashboards, drawn from their own queries: for the README, where no Grafana can be had.

run.py has a short life of the local stack with faults in it, ask.py asks Prometheus what the dashboards ask, board.py,
panels.py, lines.py and svg.py draw it as Grafana lays it out, units.py writes the numbers.
"""
