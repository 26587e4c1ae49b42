"""Real servers of the tests' own, on loopback ports: sshd, a GridFTP server, a web server."""

import contextlib
import getpass
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cwlbalsam.sites.transfers.base import Ssh

START_SECONDS = 20.0


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def find_server(name: str) -> str:
    """Path of a server's program, "" if it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""


class Daemon:
    """A server's process, and all that it has started."""

    def __init__(self, argv: list[str], port: int, log: Path) -> None:
        self.argv = argv
        self.port = port
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.argv[0]} does not listen: {self.log.read_text()}")

    def kill(self) -> None:
        """The server and its sessions, at once."""
        if self.process is None:
            return
        for pid in [*_children(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def sessions(self) -> list[int]:
        """Processes that serve someone now."""
        return _children(self.process.pid) if self.process else []


def _children(pid: int) -> list[int]:
    """All descendants, the deepest first."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [child for child, parent in parents.items() if parent == pid]
    return [deeper for child in found for deeper in _children(child)] + found


class Sshd(Daemon):
    """ssh: how to log in to it, as this user. weak: root there may not read what it has no permission for.

    environment: of its sessions, so that it seems to be a host of its own (no spaces or quotes in it).
    """

    def __init__(self, folder: Path, *, weak: bool = False, environment: Mapping[str, str] = {}) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
        port = free_port()
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "authorized_keys").write_bytes((folder / "user_key.pub").read_bytes())
        key = (folder / "host_key.pub").read_text().split()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
        (folder / "ssh_config").write_text(f"UserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking yes\n")
        (folder / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile {folder}/pid\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "PermitRootLogin yes\nMaxSessions 100\nMaxStartups 100\nSubsystem sftp internal-sftp\nPrintMotd no\n"
        )
        if environment:
            with (folder / "sshd_config").open("a") as config:
                config.write("SetEnv " + " ".join(f"{name}={text}" for name, text in environment.items()) + "\n")
        if weak and os.geteuid() == 0:
            lost = "--bounding-set=-dac_override,-dac_read_search --inh-caps=-all"
            with (folder / "sshd_config").open("a") as config:
                config.write(f'ForceCommand setpriv {lost} sh -c "$SSH_ORIGINAL_COMMAND"\n')
        super().__init__([find_server("sshd"), "-D", "-e", "-f", str(folder / "sshd_config")], port, folder / "log")
        self.ssh = Ssh(
            host="127.0.0.1",
            port=port,
            user=getpass.getuser(),
            config=str(folder / "ssh_config"),
            identity=str(folder / "user_key"),
            python=sys.executable,
        )


class GridFtpServer(Daemon):
    """Anonymous, and only below one folder."""

    def __init__(self, folder: Path, shown: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        user = ["-anonymous-user", getpass.getuser(), *(["-allow-root"] if os.geteuid() == 0 else [])]
        super().__init__(
            [
                *(find_server("globus-gridftp-server"), "-c", "/dev/null", "-aa", *user, "-p", str(port)),
                *("-control-interface", "127.0.0.1", "-data-interface", "127.0.0.1"),
                *("-restrict-paths", f"RW{shown}", "-logfile", str(folder / "transfers.log")),
            ],
            port,
            folder / "log",
        )
        self.url = f"ftp://127.0.0.1:{port}"


class WebServer:
    """Serves one folder with ranges, and takes PUT and MOVE; faults are set by its attributes.

    cut_after: bytes after which each answer is cut, once for each path in `cut`, or always if that is None.
    damage: flips a byte of what it sends. down: answers 503. asked: (method, path, range) of each request.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cut_after = 0
        self.cut: set[str] | None = set()
        self.damage = False
        self.down = False
        self.ranges = True
        self.moves = True
        self.asked: list[tuple[str, str, str]] = []
        server = self

        class Answer(_Answer):
            web = server

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def start(self) -> None:
        self._thread.start()

    def kill(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Answer(http.server.BaseHTTPRequestHandler):
    web: WebServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        return

    def _path(self, url: str) -> Path:
        text = urllib.parse.unquote(urllib.parse.urlsplit(url).path, errors="surrogateescape")
        path = Path(os.path.normpath(f"{self.web.folder}/{text}"))
        assert path.is_relative_to(self.web.folder)
        return path

    def _refused(self) -> bool:
        self.web.asked.append((self.command, self.path, self.headers.get("Range", "")))
        if self.web.down:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE)
        return self.web.down

    def _say(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": "0", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_HEAD(self) -> None:
        if not self._refused():
            path = self._path(self.path)
            self._say(200, Content_Length=str(path.stat().st_size)) if path.is_file() else self._say(404)

    def do_GET(self) -> None:
        if self._refused():
            return
        path = self._path(self.path)
        if not path.is_file():
            self._say(404)
            return
        size, tag = path.stat().st_size, f'"{path.stat().st_mtime_ns}-{path.stat().st_size}"'
        start = 0
        wanted = self.headers.get("Range", "")
        if self.web.ranges and wanted and self.headers.get("If-Range", tag) == tag:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= size:
                self._say(416, Content_Range=f"bytes */{size}")
                return
        extra = {"Content_Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        self._say(206 if start else 200, Content_Length=str(size - start), ETag=tag, **extra)
        with path.open("rb") as file, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            file.seek(start)
            self._pour(file, size - start)

    def _pour(self, file: Any, length: int) -> None:
        if self.web.cut_after and (self.web.cut is None or self.path not in self.web.cut):
            if self.web.cut is not None:
                self.web.cut.add(self.path)
            self.wfile.write(file.read(min(length, self.web.cut_after)))
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        elif self.web.damage and length:
            data = bytearray(file.read())
            data[len(data) // 2] ^= 1
            self.wfile.write(data)
        else:
            shutil.copyfileobj(file, self.wfile, 1 << 20)

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        refused = self._refused()
        with (Path(os.devnull) if refused else self._path(self.path)).open("wb") as file:
            while left and (data := self.rfile.read(min(left, 1 << 20))):
                file.write(data)
                left -= len(data)
        if not refused:
            self._say(201)

    def do_MOVE(self) -> None:
        if self._refused():
            return
        if not self.web.moves:
            self._say(405)
            return
        target = self._path(self.headers["Destination"])
        target.parent.mkdir(parents=True, exist_ok=True)
        self._path(self.path).replace(target)
        self._say(201)


@contextlib.contextmanager
def serving(*servers: Daemon | WebServer) -> Iterator[None]:
    """Starts servers, and kills them at the end."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill)
            server.start()
        yield
