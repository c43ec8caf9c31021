"""Stands in for docker and buildah: knows the words that infra/image/push.sh says to them, and pushes one small image
by the registry protocol. `docker ...` or `buildah ...` runs it as `engine.py docker ...`.

STAND_IN_REGISTRY is where the registry listens whose name the caller gives; STAND_IN_LOG gets each command line.
Credentials come from where the real engine keeps them, and from nowhere else.
"""

import base64
import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

CONFIG, LAYER = b'{"architecture": "arm64", "os": "linux"}', b"the layer"
KIND = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def ask(method: str, path: str, login: str, body: bytes = b"", kind: str = "application/octet-stream") -> str:
    """The answer's Location, else the digest it names; ends the process as an engine does when it is refused."""
    url = path if path.startswith("http") else f"http://{os.environ['STAND_IN_REGISTRY']}{path}"
    headers = {"Content-Type": kind} | ({"Authorization": f"Basic {login}"} if login else {})
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return str(answer.headers.get("Location") or answer.headers.get("Docker-Content-Digest"))
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {error.read().decode().strip()}")


def log_in(registry: str, user: str, kept_in: Path) -> None:
    login = base64.b64encode(f"{user}:{sys.stdin.read().strip()}".encode()).decode()
    ask("GET", "/v2/", login)
    kept_in.write_text(json.dumps({"auths": {registry: {"auth": login}}}))


def push(reference: str, kept_in: Path) -> str:
    """The digest."""
    registry, _, rest = reference.partition("/")
    name, _, tag = rest.rpartition(":")
    auths = json.loads(kept_in.read_text())["auths"] if kept_in.exists() else {}
    login = auths.get(registry, {}).get("auth", "")
    for blob in (CONFIG, LAYER):
        place = ask("POST", f"/v2/{name}/blobs/uploads/", login)
        ask("PUT", f"{place}?digest={digest_of(blob)}", login, blob)
    parts = {"config": {"digest": digest_of(CONFIG)}, "layers": [{"digest": digest_of(LAYER)}]}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": KIND, **parts}).encode()
    return ask("PUT", f"/v2/{name}/manifests/{tag}", login, manifest, KIND)


def docker(words: list[str]) -> None:
    kept_in = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    digests = Path(os.environ["STAND_IN_LOG"]).with_name("digests")
    match words:
        case ["info"]:
            if not os.environ.get("DOCKER_HOST"):
                sys.exit(0 if Path.home().joinpath("engine").exists() else 1)
        case ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]:
            print("unix:///var/run/docker.sock")
        case ["login", "--username", user, "--password-stdin", registry]:
            log_in(registry, user, kept_in)
        case ["tag", _, _]:
            pass
        case ["push", reference]:
            assert os.environ.get("DOCKER_HOST"), "a login of its own hides where the engine is"
            name = reference.rpartition(":")[0]
            digests.write_text(f"{name}@{push(reference, kept_in)}\nelsewhere/image@sha256:{'0' * 64}\n")
            print("progress that does not belong on stdout")
        case ["image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", _]:
            print(digests.read_text())
        case _:
            sys.exit(f"docker knows no {words}")


def buildah(words: list[str]) -> None:
    match words:
        case ["login", "--authfile", file, "--username", user, "--password-stdin", registry]:
            log_in(registry, user, Path(file))
            print("Login Succeeded!")
        case ["push", "--quiet", "--digestfile", digest, "--authfile", file, _, reference]:
            Path(digest).write_text(push(reference.removeprefix("docker://"), Path(file)))
        case _:
            sys.exit(f"buildah knows no {words}")


ENGINES: dict[str, Callable[[list[str]], None]] = {"docker": docker, "buildah": buildah}

if __name__ == "__main__":
    with Path(os.environ["STAND_IN_LOG"]).open("a") as log:
        log.write(" ".join(sys.argv[1:]) + "\n")
    ENGINES[sys.argv[1]](sys.argv[2:])
