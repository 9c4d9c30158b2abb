"""storage/cluster.py on real folders; no server runs here."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from storage.cluster import SOCKET, SOCKET_PATH_LIMIT, ClusterError, DataFolder, DataFolderBusyError

LONG = Path("long " * 20, "漫长" * 20)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    folder = DataFolder(tmp_path / "data")
    yield folder
    folder.release()


@pytest.fixture
def long_folder(tmp_path: Path) -> Iterator[DataFolder]:
    folder = DataFolder(tmp_path / LONG)
    yield folder
    folder.release()


def die(folder: DataFolder) -> None:
    """Let go of the lock as the kernel does for a killed holder: nothing is tidied up."""
    folder._lock.close()
    folder._lock = None


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_has_one_holder(folder):
    folder.take()
    other = DataFolder(folder.path)
    with pytest.raises(DataFolderBusyError, match=rf"another jtgate \(pid {os.getpid()}\) runs on"):
        other.take()
    assert (folder.held, other.held) == (True, False)
    other.release()
    with pytest.raises(DataFolderBusyError):
        other.take()
    folder.release()
    other.take()
    assert other.held
    other.release()


def test_a_new_folder_is_private(folder):
    folder.take()
    assert mode(folder.path) == 0o700


def test_an_unusable_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ClusterError, match="the data folder cannot be used"):
        DataFolder(tmp_path / "file").take()


def test_a_short_path_needs_no_link(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    room = SOCKET_PATH_LIMIT - len(f"{tmp_path}//postgres/{SOCKET}")
    if room < 1:
        pytest.skip("the temporary folder has a long path itself")
    for length, linked in ((room, False), (room + 1, True)):
        folder = DataFolder(tmp_path / ("x" * length))
        folder.take()
        assert (folder.socket_folder != folder.cluster) is linked
        folder.release()


def test_a_long_path_has_a_private_link_while_it_is_held(long_folder):
    long_folder.take()
    link = long_folder.socket_folder
    assert link.readlink() == long_folder.cluster
    assert len(os.fsencode(link / SOCKET)) <= SOCKET_PATH_LIMIT
    assert mode(link.parent) == 0o700
    long_folder.release()
    assert not link.parent.exists()


def test_the_link_of_a_killed_holder_is_removed(long_folder):
    long_folder.take()
    link = long_folder.socket_folder
    die(long_folder)
    long_folder.release()
    assert link.is_symlink()
    long_folder.take()
    assert long_folder.socket_folder != link
    assert not link.parent.exists()


def test_a_link_that_leads_elsewhere_is_not_touched(folder, tmp_path):
    folder.path.mkdir()
    (tmp_path / "theirs").symlink_to(tmp_path)
    (folder.path / "postgres.lock").write_text(f"1\n{tmp_path / 'theirs'}\n")
    folder.take()
    assert (tmp_path / "theirs").is_symlink()


def test_a_visitor_goes_the_holders_way_and_leaves_it(long_folder):
    long_folder.take()
    visitor = DataFolder(long_folder.path)
    visitor.follow_holder()
    assert visitor.socket_folder == long_folder.socket_folder != long_folder.cluster
    visitor.release()
    assert long_folder.socket_folder.is_symlink()


def test_a_visitor_of_a_short_path_and_of_nothing(folder):
    folder.follow_holder()
    assert folder.socket_folder == folder.cluster
    assert not folder.path.exists()
    folder.take()
    visitor = DataFolder(folder.path)
    visitor.follow_holder()
    assert visitor.socket_folder == folder.cluster


def test_the_dsn_names_any_path(tmp_path):
    folder = DataFolder(tmp_path / "a b&c=d?#%20+é")
    url = urlsplit(folder.dsn("secret", "db"))
    assert (url.scheme, url.username, url.password, url.path) == ("postgresql", "jtgate", "secret", "/db")
    assert parse_qs(url.query) == {"host": [str(folder.cluster)], "port": ["5432"]}


@pytest.mark.parametrize("contents", [None, "", "\n"])
def test_a_lost_password_is_named(folder, contents):
    folder.path.mkdir()
    if contents is not None:
        folder.password_file.write_text(contents)
    with pytest.raises(ClusterError, match=r"postgres\.password is missing or empty"):
        folder.password()


def test_no_cluster_is_fine(folder):
    folder.check_cluster("18")
    folder.cluster.mkdir(parents=True)
    folder.check_cluster("18")
    assert not folder.has_cluster()


def test_a_cluster_of_this_version_is_fine_and_no_other(folder):
    folder.cluster.mkdir(parents=True)
    (folder.cluster / "PG_VERSION").write_text("17\n")
    assert folder.has_cluster()
    folder.check_cluster("17")
    with pytest.raises(ClusterError, match="was made by PostgreSQL 17 and this is PostgreSQL 18"):
        folder.check_cluster("18")


def test_a_folder_of_other_things_is_no_cluster(folder):
    folder.cluster.mkdir(parents=True)
    (folder.cluster / "notes").touch()
    with pytest.raises(ClusterError, match="not empty and not a PostgreSQL cluster"):
        folder.check_cluster("18")


def test_half_clusters_are_removed_and_nothing_else(folder):
    folder.path.mkdir()
    folder.make_work_folder(os.geteuid(), os.getegid())
    folder.cluster.mkdir()
    folder.remove_half_clusters()
    assert {path.name for path in folder.path.iterdir()} == {"postgres", "postgres.password"}


def test_a_cluster_is_made_aside_and_put_in_place(folder):
    folder.path.mkdir()
    work = folder.make_work_folder(os.geteuid(), os.getegid())
    assert (work / "password").read_text() == folder.password() + "\n"
    assert len(folder.password()) >= 32
    assert mode(folder.password_file) == 0o600
    assert mode(work) == mode(work / "cluster") == 0o700
    (work / "cluster" / "PG_VERSION").write_text("18\n")
    assert not folder.has_cluster()
    folder.install_cluster(work)
    assert folder.has_cluster()
    assert not work.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="about changing the uid")
def test_the_account_owns_the_work_folder_and_not_the_password(folder):
    folder.path.mkdir()
    work = folder.make_work_folder(65534, 65533)
    for path in (work, *work.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65533)
    assert folder.password_file.stat().st_uid == 0


def test_a_password_outlives_its_cluster(folder):
    folder.path.mkdir()
    folder.password_file.write_text("kept\n")
    work = folder.make_work_folder(os.geteuid(), os.getegid())
    assert (work / "password").read_text() == "kept\n"
    assert folder.password() == "kept"


def test_a_place_that_cannot_be_replaced_is_a_sentence(folder, tmp_path):
    folder.path.mkdir()
    work = folder.make_work_folder(os.geteuid(), os.getegid())
    folder.cluster.symlink_to(tmp_path / "disk that is not mounted")
    with pytest.raises(ClusterError, match="cannot be put in place"):
        folder.install_cluster(work)
