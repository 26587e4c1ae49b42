"""A server that speaks as S3 does: objects are files in folders; only requests with a right signature count."""

import hashlib
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PAGE = 2
"""Keys in one answer: few, so that lists are longer than that."""


class Store:
    """`root/BUCKET/KEY`. Nobody may read below `denied/`; anybody may read the bucket `public`.

    cuts: as many objects as this break off after half of what was to come.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = ""
        self.cuts = 0
        self.asked: list[tuple[str, str, str]] = []
        """Method, path, range."""

    def put(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def keys(self, bucket: str) -> list[str]:
        folder = self.root / bucket
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@contextmanager
def serving(root: Path) -> Iterator[Store]:
    store = Store(root)

    class Answer(_Answer):
        objects = store

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        store.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield store
        server.shutdown()
        thread.join()


def signature(secret: str, scope: str, stamp: str, request: str) -> str:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html"""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    told = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    return hmac.digest(key, told.encode(), "sha256").hex()


class _Answer(BaseHTTPRequestHandler):
    objects: Store
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        place = urlsplit(self.path)
        bucket, _, key = unquote(place.path)[1:].partition("/")
        self.objects.asked.append((self.command, place.path, self.headers.get("Range", "")))
        problem = self._refusal(bucket, key)
        if problem:
            self._refuse(*problem)
        elif not (self.objects.root / bucket).is_dir():
            self._refuse(404, "NoSuchBucket", "The specified bucket does not exist")
        elif not key:
            self._list(bucket, dict(parse_qsl(place.query)))
        elif key not in self.objects.keys(bucket):
            self._refuse(404, "NoSuchKey", "The specified key does not exist.")
        else:
            self._send_object((self.objects.root / bucket / key).read_bytes())

    def _refusal(self, bucket: str, key: str) -> tuple[int, str, str] | None:
        given = self.headers.get("Authorization", "")
        if not given:
            return None if bucket == "public" else (403, "AccessDenied", "Access Denied")
        form = r"AWS4-HMAC-SHA256 Credential=([^/]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)"
        found = re.fullmatch(form, given)
        assert found is not None, given
        if found[1] != KEY_ID:
            return 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
        path, _, query = self.path.partition("?")
        request = "\n".join(
            (
                self.command,
                path,
                "&".join(sorted(query.split("&"))),
                *(f"{name}:{' '.join(self.headers[name].split())}" for name in found[3].split(";")),
                "",
                found[3],
                self.headers["x-amz-content-sha256"],
            )
        )
        if not hmac.compare_digest(signature(SECRET, found[2], self.headers["x-amz-date"], request), found[4]):
            return 403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature"
        return (403, "AccessDenied", "Access Denied") if key.startswith("denied/") else None

    def _refuse(self, status: int, code: str, message: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self._send(status, {"Content-Type": "application/xml"}, text.encode())

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        assert query["list-type"] == "2"
        keys = [key for key in self.objects.keys(bucket) if key.startswith(query.get("prefix", ""))]
        start = int(query.get("continuation-token", "0"))
        parts = [f"<Contents><Key>{escape(quote(key))}</Key></Contents>" for key in keys[start : start + PAGE]]
        if start + PAGE < len(keys):
            parts.append(
                f"<NextContinuationToken>{start + PAGE}</NextContinuationToken><IsTruncated>true</IsTruncated>"
            )
        text = f"<ListBucketResult><EncodingType>url</EncodingType>{''.join(parts)}</ListBucketResult>"
        self._send(200, {"Content-Type": "application/xml"}, text.encode())

    def _send_object(self, data: bytes) -> None:
        headers = {"ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"', "Accept-Ranges": "bytes"}
        if self.headers.get("If-Match", headers["ETag"]) != headers["ETag"]:
            self._refuse(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
            return
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not span:
            self._send(200, headers, data)
            return
        part = data[int(span[1]) : int(span[2]) + 1 if span[2] else None]
        headers["Content-Range"] = f"bytes {span[1]}-{int(span[1]) + len(part) - 1}/{len(data)}"
        self._send(206, headers, part)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if "ETag" in headers and self.objects.cuts:
            self.objects.cuts -= 1
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)
