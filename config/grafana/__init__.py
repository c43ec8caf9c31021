"""The Grafana dashboards as code; `make dashboards` writes them to config/grafana/dashboards.

parts.py has what all of them share, fleet.py, service.py and cost.py one dashboard each.
"""
