"""Where the certificates and keys of devices are kept: in a private folder, whole or not at all.

<folder>/<name>/certificate.pem, private.key, device.json (certificate id and ARN, and whether it was never active)
"""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import msgspec

from producer.aws.errors import UserError

SPARE_BYTES = 16 * 1024  # more than certificate, key and identity take


class Saved(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A saved certificate. `pending`: it was never active, since its device is not finished."""

    certificate_id: str
    certificate_arn: str
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where one device's certificate and key are."""

    name: str
    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "private.key"

    @property
    def identity(self) -> Path:
        return self.folder / "device.json"

    def saved(self) -> Saved | None:
        """None when nothing, or not everything, is saved."""
        if not (self.certificate.is_file() and self.key.is_file() and self.identity.is_file()):
            return None
        try:
            return msgspec.json.decode(self.identity.read_bytes(), type=Saved)
        except msgspec.DecodeError:  # torn by a crash
            return None

    def certificate_id(self) -> str | None:
        """That of the certificate that is saved."""
        found = self.saved()
        return found.certificate_id if found else None

    def check_space(self) -> None:
        """Raises UserError when certificate and key could not be saved."""
        try:
            self.folder.mkdir(exist_ok=True, mode=0o700)
            spare = self.folder / "spare"
            try:
                _write_private(spare, "0" * SPARE_BYTES)
            finally:
                spare.unlink(missing_ok=True)
                spare.with_suffix(".part").unlink(missing_ok=True)
        except OSError as error:
            raise self.unsaved(error, "nothing was made for it") from None

    def unsaved(self, error: OSError, state: str) -> UserError:
        """The message for a key that could not be saved; `state` is its state in AWS IoT."""
        return UserError(
            f"the key of device {self.name} cannot be saved in {self.folder} ({error.strerror}), {state}; "
            "make room there, or choose another folder with DEVICES_DIR=..."
        )

    def save(self, certificate: str, key: str, identity: Saved) -> None:
        """Raises OSError when it cannot."""
        _write_private(self.certificate, certificate)
        _write_private(self.key, key)
        self.note(identity)  # last: only then the three are complete

    def note(self, identity: Saved) -> None:
        """Whose certificate and key these are. Raises OSError when it cannot."""
        _write_private(self.identity, msgspec.json.encode(identity).decode())

    def forget(self) -> None:
        """Deletes what is saved of it."""
        for path in (self.identity, self.certificate, self.key):
            path.unlink(missing_ok=True)
            path.with_suffix(".part").unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(1, count + 1)]


def saved(folder: Path, prefix: str, count: int, stack: str) -> list[Credentials]:
    """The saved credentials of a stack's devices; raises UserError for the first one that has none."""
    found = [Credentials(name, folder / name) for name in names(prefix, count)]
    for device in found:
        if device.certificate_id() is None:
            raise UserError(
                f"device {device.name} has no certificate in {folder}; "
                f"first: .venv/bin/sensorstream provision --stack {stack} --prefix {shlex.quote(prefix)} "
                f"--devices {count}"
            )
    return found


def private_folder(folder: Path) -> None:
    """Makes it; raises UserError when it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}); choose another with DEVICES_DIR=...") from None


def _write_private(path: Path, text: str) -> None:
    """Whole and on the disk, or not at all."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
