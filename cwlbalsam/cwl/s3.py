"""Objects of S3, and of servers that speak as it does.

boto3 finds endpoint, region and credentials; it fetches ranges at once, those that break off again, all of one version.
"""

import functools
import os
from collections.abc import Iterator
from typing import Any

from cwlbalsam.errors import JobError

_NO_CREDENTIALS = "no credentials were found where the job runs: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret"


def fetch(url: str, kind: str, path: str) -> None:
    """Write an object, or all below a prefix as a directory, to a path where nothing is.

    url: `s3://bucket/key`, the key as it is, not quoted. Raises JobError; something may be at the path then.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not bucket or (kind == "File" and not key):
        raise JobError(f"{url} names no object: write s3://BUCKET/KEY")
    try:
        from botocore.exceptions import BotoCoreError, ClientError
        from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError
    except ImportError as error:
        raise JobError(f"cannot download {url}: boto3 is not installed", hint="pip install 'cwlbalsam[s3]'") from error
    hint = ""
    try:
        client, signs = _client()
        hint = "" if signs else _NO_CREDENTIALS
        _fetch_all(client, bucket, [(key, path)] if kind == "File" else _below(client, url, bucket, key, path))
    except RetriesExceededError as error:
        raise JobError(f"cannot download {url}: {error.last_exception}") from error
    except ClientError as error:
        raise JobError(f"cannot download {url}: {error}", hint=hint) from error
    except (BotoCoreError, S3DownloadFailedError) as error:
        raise JobError(f"cannot download {url}: {error}") from error


@functools.cache
def _client() -> tuple[Any, bool]:
    """A client, which keeps its connections; False if it asks as nobody, which is enough for public buckets."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    session = boto3.Session()
    signs = session.get_credentials() is not None
    return session.client("s3", config=None if signs else Config(signature_version=UNSIGNED)), signs


def _fetch_all(client: Any, bucket: str, objects: list[tuple[str, str]]) -> None:
    from boto3.s3.transfer import TransferConfig, create_transfer_manager
    from botocore.exceptions import ClientError

    with create_transfer_manager(client, TransferConfig()) as manager:
        for key, future in [(key, manager.download(bucket, key, path)) for key, path in objects]:
            try:
                future.result()
            except ClientError as error:
                if error.operation_name == "HeadObject":  # its answer has no body; GET's says why
                    client.get_object(Bucket=bucket, Key=key)["Body"].close()
                raise


def _below(client: Any, url: str, bucket: str, key: str, path: str) -> list[tuple[str, str]]:
    """Keys below a prefix and the paths they are to have, whose folders are made."""
    prefix = f"{key.rstrip('/')}/" if key else ""
    objects = []
    for found in _keys(client, bucket, prefix):
        names = found[len(prefix) :].removesuffix("/").split("/")
        if any(name in ("", ".", "..") or "\0" in name for name in names) and found != prefix:
            raise JobError(f"cannot download {url}: {found!r} cannot be the name of a file in a directory")
        if found.endswith("/"):  # what consoles make to show a folder
            os.makedirs(f"{path}/{found[len(prefix) :]}", exist_ok=True)
        else:
            os.makedirs(os.path.dirname(f"{path}/{'/'.join(names)}"), exist_ok=True)
            objects.append((found, f"{path}/{'/'.join(names)}"))
    if not os.path.isdir(path):
        raise JobError(f"cannot download {url}: nothing is below it")
    return objects


def _keys(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", ()):
            yield found["Key"]
