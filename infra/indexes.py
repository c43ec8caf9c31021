"""Where this machine's pip finds packages and whom it trusts, as shell lines for uv and for pip in another place.

    PYTHON infra/indexes.py [image]

uv reads neither PIP_* nor pip.conf. What is set for uv already (UV_DEFAULT_INDEX ...) stays as it is. For the image's
build the lines hold pip's variables, too, and nothing of this machine's files. PYTHON is one that has pip; without pip
only the environment counts. It is written for old Pythons, too, and imports nothing of the others.
"""

import ast
import os
import shlex
import subprocess
import sys
from typing import Dict, List, Mapping  # noqa: UP035 - also for Python 3.8

SECTIONS = ("global", "install", ":env:")  # the later ones win, as with pip
# pip's option, its variable, uv's variables, what joins several values for uv.
MAPPED = (
    ("index-url", "PIP_INDEX_URL", ("UV_DEFAULT_INDEX",), " "),
    ("extra-index-url", "PIP_EXTRA_INDEX_URL", ("UV_INDEX",), " "),
    ("trusted-host", "PIP_TRUSTED_HOST", ("UV_INSECURE_HOST",), " "),
)
OF_MACHINE = (
    ("find-links", "PIP_FIND_LINKS", ("UV_FIND_LINKS",), ","),
    ("no-index", "PIP_NO_INDEX", ("UV_NO_INDEX",), " "),
    ("cert", "PIP_CERT", ("SSL_CERT_FILE",), " "),
    ("client-cert", "PIP_CLIENT_CERT", ("SSL_CLIENT_CERT",), " "),
    ("proxy", "PIP_PROXY", ("HTTPS_PROXY", "HTTP_PROXY"), " "),
    ("timeout", "PIP_DEFAULT_TIMEOUT", ("UV_HTTP_TIMEOUT",), " "),
)
OLDER = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
PASSED = ("KCL_MVN_REPO_SEARCH_URL",)  # where the KCL's setup finds its jars
OFF = ("", "0", "false", "no", "off")


def configured(python: str) -> Dict[str, List[str]]:  # noqa: UP006
    """pip's options with their values, by `pip config list`, which knows its files and its environment."""
    done = subprocess.run(
        [python, "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    found: Dict[str, Dict[str, str]] = {section: {} for section in SECTIONS}  # noqa: UP006
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        if section in found:
            found[section][option] = str(ast.literal_eval(value))
    options: Dict[str, str] = {}  # noqa: UP006
    for section in SECTIONS:
        options.update(found[section])
    return {option: value.split() for option, value in options.items()}


def exports(options: Mapping[str, List[str]], environ: Mapping[str, str], image: bool) -> Dict[str, str]:  # noqa: UP006
    """Variables to set. `options` as `configured` gives them."""
    made: Dict[str, str] = {}  # noqa: UP006
    for option, of_pip, of_uv, joint in MAPPED if image else MAPPED + OF_MACHINE:
        values = environ[of_pip].split() if environ.get(of_pip) else options.get(option, [])
        if option == "no-index" and values and values[0].lower() in OFF:
            continue
        own = next((environ[name] for name in (of_uv[0], OLDER.get(of_uv[0], "")) if environ.get(name)), "")
        chosen = own or joint.join(values)
        if not chosen:
            continue
        for name in of_uv:
            if image or not (own or environ.get(name)):
                made[name] = chosen
        if image:
            made[of_pip] = " ".join(values) or chosen
    if "UV_INDEX" in made and not environ.get("UV_INDEX_STRATEGY"):
        made["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's; what is installed is pinned by its hash
    if image:
        made.update({name: environ[name] for name in PASSED if environ.get(name)})
    return made


def main(arguments: List[str]) -> int:  # noqa: UP006
    """Lines for a shell on stdout."""
    for name, value in exports(configured(sys.executable), os.environ, "image" in arguments).items():
        print("export", f"{name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
