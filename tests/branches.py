"""Fails unless enough of the branches were taken: coverage's own limit counts statements, too.

python -m tests.branches REPORT PERCENT
"""

import json
import sys
from pathlib import Path


def main(report: str, least: str) -> int:
    """Prints the share of the branches taken according to coverage's JSON report; 1 if it is less than `least`."""
    totals = json.loads(Path(report).read_text())["totals"]
    taken = 100 * totals["covered_branches"] / totals["num_branches"]
    print(f"branches of the consumer: {taken:.1f} % taken; {least} % is the least")
    return int(taken < float(least))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
