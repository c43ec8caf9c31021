"""HTTPS on the gateway's port, under an authority of its own, and plain HTTP beside it on PLAIN_PORT.

As at AWS, requests of both kinds are answered: whether one came over TLS is a condition of policies
(`aws:SecureTransport`), and a task gets its credentials over plain HTTP.
"""

import os
from pathlib import Path
from typing import Any

import hypercorn.config
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from ministack import app

from emulator_extension.upstream import App, Json, extends

TRUST_STORE_PASSWORD = b"changeit"  # the JDK's own default; what it protects is public


def install(folder: Path) -> None:
    """The folder gets the authority's certificate (ca.pem), also in Java's format (truststore.p12)."""
    _write_certificates(folder)
    os.environ |= {
        "MINISTACK_SSL_CERT": f"{folder}/server.pem",
        "MINISTACK_SSL_KEY": f"{folder}/key.pem",
        "USE_SSL": "1",
    }
    hypercorn.config.Config._insecure_bind = [f"{os.environ['BIND_HOST']}:{os.environ['PLAIN_PORT']}"]
    app._port_is_bindable = lambda *_: False  # otherwise the emulator binds port 443 as well
    extends(app, "app")(without_proxy_header)


async def without_proxy_header(original: App, scope: Json, receive: Any, send: Any) -> None:
    """The emulator trusts X-Forwarded-Proto, with which any client could claim TLS. There is no proxy."""
    if "headers" in scope:
        scope = scope | {"headers": [each for each in scope["headers"] if each[0].lower() != b"x-forwarded-proto"]}
    await original(scope, receive, send)


def _write_certificates(folder: Path) -> None:
    """An authority whose key is kept nowhere, and its certificate for loopback."""
    authority = trustme.CA(organization_name="local AWS")
    server = authority.issue_cert("localhost", os.environ["BIND_HOST"])
    (folder / "key.pem").touch(mode=0o600)
    server.private_key_pem.write_to_path(str(folder / "key.pem"))
    chain = [*server.cert_chain_pems, authority.cert_pem]  # the emulator's functions trust what is in it
    (folder / "server.pem").write_bytes(b"".join(each.bytes() for each in chain))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trusted = [pkcs12.PKCS12Certificate(x509.load_pem_x509_certificate(authority.cert_pem.bytes()), b"local-aws")]
    locked = serialization.BestAvailableEncryption(TRUST_STORE_PASSWORD)
    (folder / "truststore.p12").write_bytes(pkcs12.serialize_java_truststore(trusted, locked))


if os.environ.get("TLS_DIR"):  # otherwise everything stays plain HTTP
    install(Path(os.environ["TLS_DIR"]))
