"""What went wrong, read from what the tools print. Foreign text: anything may stand there."""

import re

from cwlbalsam.sites.transfers.base import Trouble

_SIGNS: tuple[tuple[Trouble, str], ...] = (
    (Trouble.FULL, r"no space left|disk quota exceeded|quota exceeded|file too large|\bENOSPC\b|insufficient storage"),
    (
        Trouble.LOGIN,
        r"permission denied \((?:publickey|password|keyboard|gssapi|hostbased)|host key verification failed"
        r"|too many authentication failures|no such identity|authentication failed|authenticationfailed"
        r"|consent ?required|login (?:required|incorrect)|530[- ]|(?:^|: )401 |credentials? (?:has |have )?expired",
    ),
    (
        Trouble.UNREACHABLE,
        r"connection refused|could not resolve|name or service not known|no route to host|network is unreachable"
        r"|connection timed out|operation timed out|temporary failure in name resolution|control socket connect"
        r"|unable to connect|kex_exchange_identification|host is down|(?:^|: )50[234] |ssh_exchange_identification",
    ),
    (
        Trouble.CUT,
        r"connection (?:reset|closed|lost)|broken pipe|unexpected(?:ly)? (?:eof|end)|lost connection|closed by remote"
        r"|connection to .* closed|end of file|unexplained error|incomplete ?read|timeout, server|mux_client"
        r"|connection unexpectedly|an end-of-file was reached|error in socket|client_loop|eof occurred",
    ),
    (
        Trouble.UNFIT,
        r"command not found|not supported|unsupported|invalid cross-device|operation not supported|cross-device link"
        r"|inappropriate ioctl|(?:^|: )(?:405|501) |unrecognized option|unknown option",
    ),
    (Trouble.MISSING, r"no such file|not found|does not exist|(?:^|: )(?:404|410) |not a directory"),
    (
        Trouble.DENIED,
        r"permission denied|operation not permitted|access denied|(?:^|: )403 |read-only file system|is a dir",
    ),
    (Trouble.CHANGED, r"file (?:shrank|removed|changed)|changed as we read|vanished"),
    (Trouble.CORRUPT, r"checksum|verification (?:failed|mismatch)|corrupt"),
)
_PATTERNS = tuple((trouble, re.compile(pattern, re.IGNORECASE)) for trouble, pattern in _SIGNS)
MESSAGE_LENGTH = 600


def classify(text: str) -> Trouble:
    """The trouble that a tool's messages tell of; the gravest if they tell of several."""
    return next((trouble for trouble, pattern in _PATTERNS if pattern.search(text)), Trouble.OTHER)


def message_of(text: str) -> str:
    """The last lines of what a tool printed, as one line without control characters."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", "; ".join(lines[-4:]))
    return plain if len(plain) <= MESSAGE_LENGTH else f"...{plain[-MESSAGE_LENGTH:]}"
