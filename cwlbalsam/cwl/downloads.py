"""Files that an input names by an address are fetched once, into a folder that the jobs of a run share."""

import hashlib
import os
import shutil
import tempfile

from cwlbalsam.cwl.values import Value, normalise, uri_of
from cwlbalsam.errors import JobError


def download(value: Value, directory: str) -> None:
    """Fetch what a remote value names, unless it is there; the value then names the copy. Raises JobError."""
    url = str(value["location"])
    folder = f"{directory}/{hashlib.sha256(url.encode()).hexdigest()[:24]}"
    target = f"{folder}/{value['basename']}"
    if not os.path.exists(target):
        os.makedirs(folder, exist_ok=True)
        partial = tempfile.mkdtemp(prefix=".partial-", dir=folder)
        try:
            _fetch(url, value["class"], f"{partial}/whole")
            _rename(f"{partial}/whole", target)
        except (OSError, ValueError) as error:  # urllib's errors are OSErrors
            raise JobError(f"cannot download {url}: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    value["location"] = uri_of(target)
    normalise(value)


def _fetch(url: str, kind: str, path: str) -> None:
    if url.startswith("s3://"):
        from cwlbalsam.cwl import s3

        s3.fetch(url, kind, path)
    elif kind == "File":
        _fetch_http(url, path)
    else:
        raise JobError(f"{url}: only files can be fetched over http, no directories")


def _fetch_http(url: str, path: str) -> None:
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=60) as source, open(path, "wb") as copied:  # noqa: S310
            shutil.copyfileobj(source, copied, 1 << 20)
            missing = source.length
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from error
    if missing:
        raise OSError(f"connection closed {missing} bytes before the end")


def _rename(path: str, target: str) -> None:
    try:
        os.rename(path, target)
    except OSError:
        if not os.path.isdir(target):  # another job was faster
            raise
