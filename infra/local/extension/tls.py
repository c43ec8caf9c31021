"""HTTPS on the gateway's port, under an authority of its own, and plain HTTP beside it on PLAIN_PORT.

As at AWS, requests of both kinds are answered: whether one came over TLS is a condition of policies
(`aws:SecureTransport`), and a task gets its credentials over plain HTTP.
"""

import datetime
import ipaddress
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import hypercorn.config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from ministack import app

TRUST_STORE_PASSWORD = b"changeit"  # the JDK's own default; what it protects is public
VALID = datetime.timedelta(days=30)

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def install() -> None:
    """TLS_DIR gets the authority's certificate (ca.pem), also as Java wants it (truststore.p12); without TLS_DIR
    everything stays plain HTTP."""
    folder = Path(os.environ.get("TLS_DIR") or "")
    if not folder.name:
        return
    _write_certificates(folder)
    os.environ |= {
        "MINISTACK_SSL_CERT": f"{folder}/server.pem",
        "MINISTACK_SSL_KEY": f"{folder}/key.pem",
        "USE_SSL": "1",
    }
    hypercorn.config.Config._insecure_bind = [f"{os.environ['BIND_HOST']}:{os.environ['PLAIN_PORT']}"]
    app._port_is_bindable = lambda *_: False  # else it takes port 443 as well
    app.app = _honest(app.app)


def _honest(serve: App) -> App:
    """The emulator believes whoever says that a proxy has ended TLS. There is none."""

    async def served(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if "headers" in scope:
            scope = scope | {"headers": [each for each in scope["headers"] if each[0].lower() != b"x-forwarded-proto"]}
        await serve(scope, receive, send)

    return served


def _write_certificates(folder: Path) -> None:
    """An authority whose key is thrown away, and a certificate of it for loopback."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("local AWS", "local AWS", authority, authority, authority_of_its_own=True)
    server = _certificate("local AWS gateway", "local AWS", key, authority, authority_of_its_own=False)
    private = folder / "key.pem"
    private.touch(mode=0o600)
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    chain = [each.public_bytes(serialization.Encoding.PEM) for each in (server, root)]
    (folder / "server.pem").write_bytes(b"".join(chain))  # the emulator's functions trust what is in it
    (folder / "ca.pem").write_bytes(chain[1])
    trusted = [pkcs12.PKCS12Certificate(root, b"local-aws")]
    locked = serialization.BestAvailableEncryption(TRUST_STORE_PASSWORD)
    (folder / "truststore.p12").write_bytes(pkcs12.serialize_java_truststore(trusted, locked))


def _certificate(
    subject: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    authority_of_its_own: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (subject, issuer)]
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= {"crl_sign": False, "encipher_only": False, "decipher_only": False}
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=authority_of_its_own, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=authority_of_its_own, **usage), critical=True
        )
    )
    if not authority_of_its_own:
        address = x509.IPAddress(ipaddress.ip_address(os.environ["BIND_HOST"]))
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), address]), critical=False
        )
    return builder.sign(signer, hashes.SHA256())
