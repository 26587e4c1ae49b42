"""Both ends of a TCP connection prove that they know the same token, which itself never travels."""

import hmac
import os
from hashlib import sha256
from pathlib import Path
from typing import Literal

from cwlbalsam.errors import UserError

TOKEN_BYTES = 32
NONCE_BYTES = 16
Side = Literal["caller", "listener"]


def write_token(path: Path) -> bytes:
    """Make a token, kept in a file that only its owner can read."""
    token = os.urandom(TOKEN_BYTES)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(token)
    return token


def read_token(path: Path) -> bytes:
    """Raises UserError if others may have read it."""
    status = path.stat()
    if status.st_mode & 0o077 or status.st_uid != os.geteuid():
        raise UserError(f"{path} could be read by others", hint="its owner must be you, its mode 600")
    token = path.read_bytes()
    if len(token) != TOKEN_BYTES:
        raise UserError(f"{path} is no token")
    return token


def nonce() -> bytes:
    return os.urandom(NONCE_BYTES)


def proof(token: bytes, side: Side, name: str, called: bytes, listened: bytes) -> bytes:
    """What `side` sends to show that it knows the token: of both nonces, and of the name of who calls."""
    return hmac.new(token, b"\0".join((side.encode(), name.encode(), called, listened)), sha256).digest()


def is_proof(given: bytes, token: bytes, side: Side, name: str, called: bytes, listened: bytes) -> bool:
    return hmac.compare_digest(given, proof(token, side, name, called, listened))
