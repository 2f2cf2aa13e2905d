"""The configuration file on the disk: read, checked, and written so that it is always whole."""

from codecs import BOM_UTF8
from contextlib import suppress
import os
from pathlib import Path
import stat
import tempfile

from .document import SECRETS
from .editor import Edit, Texts
from .errors import ConfigError, ConfigureError, Problem
from .loader import LinksCheck, load
from .model import BridgeConfig
from .schema import LinkCheck

_PRIVATE = 0o600


class ConfigFile:
    """A configuration file and the `secrets.yaml` beside it. Everything here waits for the disk: call it in a thread."""

    def __init__(self, path: Path, check_link: LinkCheck, check_links: LinksCheck | None = None) -> None:
        """Name the file; symbolic links are followed when it is written."""
        self.path = path
        self._secrets = path.with_name(SECRETS)
        self._check_link = check_link
        self._check_links = check_links

    def load(self) -> BridgeConfig:
        """Read and check the file. Raises ConfigError."""
        return load(self.path, self._check_link, self._check_links)

    def read(self) -> Texts:
        """Read both texts. Raises ConfigError when one of them cannot be read."""
        return Texts(_read(self.path), _read(self._secrets) if self._secrets.exists() else None)

    def check(self, texts: Texts) -> BridgeConfig:
        """Check what would stand there, exactly as if it did. Raises ConfigError."""
        instead = {self.path: texts.config.encode()}
        if texts.secrets is not None:
            instead[self._secrets] = texts.secrets.encode()
        return load(self.path, self._check_link, self._check_links, instead=instead)

    def write(self, before: Texts, edit: Edit) -> None:
        """Write what has changed; each file is the old or the new one at any moment, also after a power failure.

        New secrets are there before anything refers to them, old ones go when nothing does any longer.
        Raises ConfigureError (not_writable); then the configuration is as before.
        """
        if edit.secrets is not None and edit.secrets != before.secrets:
            _write(self._secrets, edit.secrets, private=True)
        if edit.config != before.config:
            _write(self.path, edit.config)
        if edit.tidied is not None and edit.tidied != edit.secrets:
            with suppress(ConfigureError):  # it is only more than needed
                _write(self._secrets, edit.tidied, private=True)

    def obstacle(self) -> str | None:
        """Say why the file could not be written, as far as that can be known beforehand."""
        real = Path(os.path.realpath(self.path))
        if os.access(real.parent, os.W_OK | os.X_OK) and os.access(real, os.W_OK):
            return None
        return f"The bridge has no permission to write {real} and its folder."


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError([Problem(path, 0, f"cannot be read: {reason}")]) from error


def _write(path: Path, text: str, *, private: bool = False) -> None:
    """Put a new file in the place of the old one, with its mode and owner."""
    real = Path(os.path.realpath(path))
    try:
        _replace(real, text.encode(), private=private)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigureError("not_writable", f"{real} cannot be written: {reason}. Nothing was changed.") from error


def _replace(real: Path, data: bytes, *, private: bool) -> None:
    try:
        known = real.stat()
        with real.open("rb") as file:
            mark = file.read(len(BOM_UTF8))
        data = mark + data if mark == BOM_UTF8 else data
    except FileNotFoundError:
        known = None
    # A temporary file is the owner's alone until it is told otherwise.
    descriptor, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if known is not None:
                with suppress(PermissionError):  # whoever may write need not own
                    os.fchown(descriptor, known.st_uid, known.st_gid)
                mode = stat.S_IMODE(known.st_mode)
                os.fchmod(descriptor, mode & ~0o007 if private else mode)
            else:
                os.fchmod(descriptor, _PRIVATE if private else 0o640)
            os.fsync(descriptor)
        Path(name).replace(real)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


__all__ = ["ConfigFile"]
