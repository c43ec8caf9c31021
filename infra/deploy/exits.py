"""What exit codes mean, said where make hides them: it ends with 2 whatever its command ended with."""

import os
import sys
from collections.abc import Mapping

DEPLOYMENT = {
    1: "AWS failed or rolled back; the same command again goes on",
    2: "what was asked for cannot be, or may not",
    130: "interrupted",
}
LOCAL = {1: "it failed, or the audit found something", 2: "what was asked for cannot be", 130: "interrupted"}


def reported(code: int, meanings: Mapping[int, str]) -> int:
    """The code as it is; under make, any but 0 is a line on stderr, too."""
    if code and "MAKELEVEL" in os.environ:
        print(f"stopped with exit code {code}: {meanings.get(code, 'see above')}", file=sys.stderr)
    return code
