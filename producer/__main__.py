"""python -m producer: devices, readings and the audit of a Sensorstream stack."""

import sys

from producer.cli import main

if __name__ == "__main__":
    sys.exit(main())
