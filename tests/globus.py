"""A stand-in for Globus: its Auth and Transfer services' documents over plain HTTP, and files that are really moved.

Documents as in https://docs.globus.org/api/transfer/ and https://docs.globus.org/api/auth/.
"""

import base64
import http.server
import json
import re
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cwlbalsam.sites.transfers import globus_login

TRANSFER = "transfer.api.globus.org"
ALL = "urn:globus:auth:scope:transfer.api.globus.org:all"


class GlobusService:
    """Collections are folders of this machine; faults are set by the attributes.

    consents: scopes that the user still has to consent to. expired: access tokens that are not good any more.
    paused: tasks wait, and say why. forbidden: source paths that cannot be read. fail_after: files after which a task
    fails. damage: what arrives is not what was sent. down: it answers 503. seconds_per_file: it is slow.
    """

    def __init__(self) -> None:
        self.collections: dict[str, Path] = {}
        self.mend()
        self.tasks: dict[str, dict[str, Any]] = {}
        self.granted: list[dict[str, str]] = []
        self.secrets = {"service": "s3cret"}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._threads: list[threading.Thread] = []
        service = self

        class Answer(_Answer):
            globus = service

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._serving = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def mend(self) -> None:
        """No faults."""
        self.consents: list[str] = []
        self.expired: set[str] = set()
        self.paused = False
        self.forbidden: set[str] = set()
        self.fail_after: int | None = None
        self.damage = False
        self.down = False
        self.seconds_per_file = 0.0

    def start(self) -> None:
        self._serving.start()

    def kill(self) -> None:
        for task in self.tasks.values():
            task["cancelled"] = True
        for thread in self._threads:
            thread.join()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def add(self, folder: Path) -> str:
        """A collection; its id."""
        name = str(uuid.uuid4())
        self.collections[name] = folder
        return name

    def path(self, collection: str, path: str) -> Path:
        return self.collections[collection] / path.lstrip("/")

    def expire(self) -> None:
        """All tokens that were given out."""
        self.expired |= {grant["access_token"] for grant in self.granted}

    def token(self, form: dict[str, str], client: str) -> dict[str, Any]:
        """What the Auth service answers to a grant."""
        access = f"access-{len(self.granted)}"
        self.granted.append({**form, "access_token": access})
        who = {"sub": str(uuid.UUID(int=7)), "aud": client, "iss": self.url, "iat": int(time.time())}
        main = {
            "access_token": access,
            "refresh_token": "refresh" if form["grant_type"] != "client_credentials" else None,
            "scope": ALL,
            "resource_server": TRANSFER,
            "expires_in": 172_800,
            "token_type": "Bearer",
        }
        if form["grant_type"] == "refresh_token" or form.get("scope") == ALL:
            return {**main, "other_tokens": []}
        auth = {**main, "scope": "openid", "resource_server": "auth.globus.org"}
        token = jwt.encode({**who, "exp": int(time.time()) + 1000}, self._key, algorithm="RS512")
        return {**main, "other_tokens": [auth], "id_token": token, "state": "_default"}

    def keys(self) -> dict[str, Any]:
        numbers = self._key.public_key().public_numbers()
        plain = {"e": numbers.e.to_bytes(3, "big"), "n": numbers.n.to_bytes(256, "big")}
        encoded = {name: base64.urlsafe_b64encode(value).rstrip(b"=").decode() for name, value in plain.items()}
        return {"keys": [{"alg": "RS512", "kty": "RSA", "use": "sig", **encoded}]}

    def submit(self, document: dict[str, Any]) -> dict[str, Any]:
        known = [task for task in self.tasks.values() if task["submission_id"] == document["submission_id"]]
        if known:
            return {"code": "Duplicate", "task_id": known[0]["task_id"]}
        task = {
            "DATA_TYPE": "task",
            "task_id": str(uuid.uuid4()),
            "submission_id": document["submission_id"],
            "status": "ACTIVE",
            "nice_status": "Queued",
            "is_paused": False,
            "label": document.get("label"),
            "bytes_transferred": 0,
            "files_transferred": 0,
            "effective_bytes_per_second": 0,
            "faults": 0,
            "fatal_error": None,
            "document": document,
            "moved": [],
            "skipped": [],
            "events": [],
            "cancelled": False,
        }
        self.tasks[str(task["task_id"])] = task
        self._threads.append(threading.Thread(target=self._work, args=(task,)))
        self._threads[-1].start()
        return {"DATA_TYPE": "transfer_result", "code": "Accepted", "task_id": task["task_id"]}

    def _work(self, task: dict[str, Any]) -> None:
        document = task["document"]
        for number, item in enumerate(document["DATA"]):
            self._wait(task)
            if task["cancelled"]:
                self._fail(task, "CANCELED", "canceled by the user")
                return
            if self.fail_after is not None and number >= self.fail_after:
                task["events"].append({"code": "PERMISSION", "description": "fault", "details": "it went wrong"})
                self._fail(task, "INTERNAL_ERROR", "it went wrong")
                return
            time.sleep(self.seconds_per_file)
            self._move(task, item)
        task["status"], task["nice_status"] = "SUCCEEDED", None

    def _wait(self, task: dict[str, Any]) -> None:
        while self.paused and not task["cancelled"]:
            task["is_paused"], task["nice_status"] = True, "PAUSED"
            time.sleep(0.02)
        task["is_paused"], task["nice_status"] = False, "OK"

    def _fail(self, task: dict[str, Any], code: str, description: str) -> None:
        task["fatal_error"] = {"code": code, "description": description}
        task["status"], task["nice_status"] = "FAILED", None

    def _move(self, task: dict[str, Any], item: dict[str, Any]) -> None:
        document = task["document"]
        source = self.path(document["source_endpoint"], item["source_path"])
        target = self.path(document["destination_endpoint"], item["destination_path"])
        code = "PERMISSION_DENIED" if item["source_path"] in self.forbidden else ""
        if not source.is_file():
            code = "FILE_NOT_FOUND"
        if code:
            task["skipped"].append({**item, "error_code": code, "error_details": f"error: {code}"})
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        data = source.read_bytes()
        target.write_bytes(data[:-1] + b"?" if self.damage and data else data)
        task["bytes_transferred"] += len(data)
        task["files_transferred"] += 1
        task["moved"].append({name: item[name] for name in ("source_path", "destination_path")})


class _Answer(http.server.BaseHTTPRequestHandler):
    globus: GlobusService
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        return

    def _say(self, document: Any, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, code: str, message: str, **more: Any) -> None:
        self._say({"code": code, "message": message, "request_id": "r", "resource": self.path, **more}, status)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def _answer(self, body: bytes) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if self.globus.down:
            self._refuse(503, "ServiceUnavailable", "under maintenance")
        elif url.path.startswith("/v0.10/"):
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if token in self.globus.expired or not token.startswith("access-"):
                self._refuse(401, "AuthenticationFailed", "Token is not active")
            else:
                self._transfer(url.path.removeprefix("/v0.10/"), query, body)
        else:
            self._auth(url.path, body)

    def _auth(self, path: str, body: bytes) -> None:
        if path == "/jwk.json":
            self._say(self.globus.keys())
        elif path == "/.well-known/openid-configuration":
            self._say(
                {
                    "issuer": self.globus.url,
                    "jwks_uri": f"{self.globus.url}jwk.json",
                    "id_token_signing_alg_values_supported": ["RS512"],
                }
            )
        elif path == "/v2/oauth2/token":
            form = dict(urllib.parse.parse_qsl(body.decode()))
            client = form.get("client_id", "")
            basic = self.headers.get("Authorization", "")
            if basic.startswith("Basic "):
                client, _, secret = base64.b64decode(basic[6:]).decode().partition(":")
                if self.globus.secrets.get(client.replace(str(uuid.UUID(int=1)), "service")) != secret:
                    self._say({"error": "invalid_client"}, 401)
                    return
            if form["grant_type"] == "authorization_code" and form["code"] != "the-code":
                self._say({"error": "invalid_grant"}, 400)
                return
            self._say(self.globus.token(form, client))
        else:
            self._refuse(404, "NotFound", path)

    def _transfer(self, path: str, query: dict[str, str], body: bytes) -> None:
        document = json.loads(body) if body else {}
        task_path = re.fullmatch(r"task/([^/]+)(?:/(\w+))?", path)
        operation = re.fullmatch(r"operation/endpoint/([^/]+)/(\w+)", path)
        if path == "submission_id":
            self._say({"DATA_TYPE": "submission_id", "value": str(uuid.uuid4())})
        elif (path == "transfer" or path.endswith("/ls")) and self.globus.consents:
            scopes = self.globus.consents
            self._refuse(403, "ConsentRequired", "Missing required data_access consent", required_scopes=scopes)
        elif path == "transfer":
            self._say(self.globus.submit(document), 202)
        elif path == "task_list":
            tasks = list(self.globus.tasks.values())
            self._say({"DATA_TYPE": "task_list", "DATA": tasks, "total": len(tasks), "offset": 0, "limit": 1000})
        elif task_path and task_path[1] in self.globus.tasks:
            self._task(self.globus.tasks[task_path[1]], task_path[2] or "")
        elif operation and operation[1] in self.globus.collections:
            self._operation(operation[1], operation[2], query, document)
        else:
            self._refuse(404, "NotFound", f"no {path}")

    def _task(self, task: dict[str, Any], part: str) -> None:
        if part == "cancel":
            task["cancelled"] = True
            self._say({"code": "Canceled", "message": "The task has been cancelled successfully."})
        elif part == "pause_info":
            self._say({"DATA_TYPE": "pause_info_limited", "pause_rules": [{"message": "maintenance of the storage"}]})
        elif part == "event_list":
            self._say({"DATA": task["events"], "total": len(task["events"]), "offset": 0, "limit": 1000})
        elif part in ("successful_transfers", "skipped_errors"):
            self._say({"DATA": task["moved" if part == "successful_transfers" else "skipped"], "next_marker": None})
        else:
            self._say({name: value for name, value in task.items() if name not in ("document", "moved")})

    def _operation(self, collection: str, name: str, query: dict[str, str], document: dict[str, Any]) -> None:
        if name == "ls":
            folder = self.globus.path(collection, query.get("path", "/"))
            listed = [{"name": path.name, "size": path.stat().st_size, "type": "file"} for path in folder.iterdir()]
            self._say({"DATA_TYPE": "file_list", "DATA": listed})
        elif name == "mkdir":
            folder = self.globus.path(collection, document["path"])
            if folder.exists():
                self._refuse(502, "ExternalError.MkdirFailed.Exists", "Path already exists")
                return
            folder.mkdir()
            self._say({"code": "DirectoryCreated"}, 202)
        elif name == "rename":
            self.globus.path(collection, document["old_path"]).rename(
                self.globus.path(collection, document["new_path"])
            )
            self._say({"code": "FileRenamed"})


@contextmanager
def all_of_globus(home: Path, client: str, patch: pytest.MonkeyPatch) -> Iterator[GlobusService]:
    """Globus as a whole, logins too, for a program with this id of a client."""
    started = GlobusService()
    started.start()
    for name in ("AUTH", "TRANSFER"):
        patch.setenv(f"GLOBUS_SDK_SERVICE_URL_{name}", started.url)
    patch.setenv("CWLBALSAM_HOME", str(home))
    patch.setenv(globus_login.ID, client)
    patch.delenv(globus_login.SECRET, raising=False)
    yield started
    started.kill()
