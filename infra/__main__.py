"""python -m infra: the deployment's commands (infra/deploy/cli.py)."""

import sys

from infra.deploy import exits
from infra.deploy.cli import main as main

if __name__ == "__main__":
    sys.exit(exits.reported(main(), exits.DEPLOYMENT))
