"""The configuration file on real disks: whole at any moment, with the mode it had, and clear when it cannot be written."""

import os
from pathlib import Path
import stat
import subprocess

import pytest

from ridethrough.config import ConfigError, ConfigureError
from ridethrough.config.draft import DeviceDraft
from ridethrough.config.editor import Texts, put
from ridethrough.config.file import ConfigFile
from ridethrough.links import check_link
from tests.disks import filled, small_disk

TEXT = "name: Here\n"
DRAFT = DeviceDraft("a", None, {"link": "nut://127.0.0.1/a"}, None, {"password": "s3cret"})


def config_file(folder: Path, content: bytes = TEXT.encode()) -> ConfigFile:
    path = folder / "ridethrough.yaml"
    path.write_bytes(content)
    return ConfigFile(path, check_link)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_both_files_are_written_as_they_were_kept(tmp_path: Path) -> None:
    file = config_file(tmp_path)
    secrets = tmp_path / "secrets.yaml"
    secrets.write_text("mine: 1\n")
    file.path.chmod(0o640)
    secrets.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(file.path, 1234, 4321)
    before = file.read()
    file.write(before, put(before, DRAFT))
    assert (mode(file.path), mode(secrets)) == (0o640, 0o640), "no secret is for everyone"
    if os.geteuid() == 0:
        assert (file.path.stat().st_uid, file.path.stat().st_gid) == (1234, 4321)
    assert file.load().devices[0].password == "s3cret"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ridethrough.yaml", "secrets.yaml"]


def test_a_byte_order_mark_stays_where_it_was(tmp_path: Path) -> None:
    file = config_file(tmp_path, b"\xef\xbb\xbf" + TEXT.encode())
    before = file.read()
    assert before.config == TEXT
    file.write(before, put(before, DRAFT))
    assert file.path.read_bytes().startswith(b"\xef\xbb\xbfname: Here\n\nups:\n")
    assert file.load().devices[0].key == "a"


def test_a_file_that_is_gone_or_no_text_is_told(tmp_path: Path) -> None:
    file = config_file(tmp_path, b"name: \xff\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        file.read()
    file.path.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        file.read()


def test_a_full_disk_leaves_both_files_as_they_were(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = config_file(disk)
        before = file.read()
        with filled(disk), pytest.raises(ConfigureError, match="No space left on device. Nothing was changed") as error:
            file.write(before, put(before, DRAFT))
        assert error.value.code == "not_writable"
        assert [path.name for path in disk.iterdir()] == ["ridethrough.yaml"]
        assert file.read() == Texts(TEXT)


def test_a_disk_that_can_only_be_read_is_told_beforehand(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = config_file(disk)
        assert file.obstacle() is None
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        told = file.obstacle()
        assert told is not None
        assert str(file.path) in told
        with pytest.raises(ConfigureError, match="Read-only file system"):
            file.write(file.read(), put(file.read(), DRAFT))
        assert file.read() == Texts(TEXT)


def test_secrets_that_cannot_be_tidied_up_are_no_reason_to_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config_file(tmp_path)
    file.write(file.read(), put(file.read(), DRAFT))
    before = file.read()
    edit = put(before, DeviceDraft("a", None, {}, None, {"password": None}))
    secrets, replace = tmp_path / "secrets.yaml", Path.replace

    def stubborn(self: Path, target: Path) -> Path:
        if target == secrets:
            raise OSError(28, os.strerror(28))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stubborn)
    file.write(before, edit)
    assert file.load().devices[0].password is None
    assert "s3cret" in secrets.read_text()
