"""`make pictures`: draws docs/pictures from a run of some minutes. AWS_PORT, MQTT_PORT, HTTP_PORT as with `make up`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from infra.cloudformation import InputError
from infra.dashboards.__main__ import FOLDER
from infra.dashboards.pictures.ask import Asker
from infra.dashboards.pictures.board import picture
from infra.dashboards.pictures.run import INTERVAL, NOTE, live, scraping
from infra.local.process import ROOT, LocalError
from infra.local.stack import LocalStack, Options
from infra.switches import SwitchError, words
from producer.errors import told

PICTURES = ROOT / "docs/pictures"


def draw(asker: Asker) -> None:
    """Each dashboard, as it stands in config/grafana."""
    for path in sorted(FOLDER.glob("*.json")):
        drawn = PICTURES / f"{path.stem}.svg"
        drawn.write_text(picture(json.loads(path.read_text()), asker, NOTE))
        print(f"{drawn.relative_to(ROOT)}: {drawn.stat().st_size // 1000} kB", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Exit code; what somebody can mend is one line on stderr."""
    try:
        given, _ = words("pictures", arguments)
        options = replace(Options.load(given), consumer_settings={"PARCEL_SECONDS": "10"})
        with LocalStack(options, print) as stack, scraping(stack.consumer_url) as prometheus:
            draw(Asker(prometheus.url, live(stack), INTERVAL))
    except (InputError, LocalError, SwitchError) as error:
        print(f"sensorstream: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if (line := told(error)) is None:
            raise
        print(f"sensorstream: {line}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
