"""Runs inside the image, by its own Python: prints as JSON which packages of Python, Debian and Java it has."""

import hashlib
import json
import subprocess
import zipfile
from importlib import metadata
from pathlib import Path

JARS = "amazon_kclpy/jars"
FIELDS = "${Package}\t${Version}\t${Architecture}\n"


def python() -> list[dict[str, str]]:
    return [{"name": found.metadata["Name"], "version": found.version} for found in metadata.distributions()]


def debian() -> list[dict[str, str]]:
    done = subprocess.run(["dpkg-query", "--show", "--showformat", FIELDS], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [{"name": name, "version": version, "architecture": where} for name, version, where in rows]


def jars() -> list[dict[str, object]]:
    """`contents`: what each says it is made of, itself too when it says so."""
    folder = Path(str(metadata.distribution("amazon_kclpy").locate_file(JARS)))
    return [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "contents": contents(path)}
        for path in sorted(folder.glob("*.jar"))
    ]


def contents(path: Path) -> list[dict[str, str]]:
    with zipfile.ZipFile(path) as jar:
        texts = [jar.read(name).decode() for name in jar.namelist() if name.endswith("/pom.properties")]
    return [dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#") for text in texts]


def java() -> dict[str, str]:
    lines = Path("/opt/java/release").read_text().splitlines()
    return {name: value.strip('"') for name, value in (line.split("=", 1) for line in lines)}


if __name__ == "__main__":
    print(json.dumps({"python": python(), "debian": debian(), "jars": jars(), "java": java()}))
