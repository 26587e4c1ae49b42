"""Commands as people type them."""

import shlex

from cwlbalsam.cwl.tasks import Invocation


def shell_line(command: Invocation) -> str:
    """The command for a POSIX shell, ready to paste: directory, environment, arguments, redirections."""
    quote = shlex.quote
    lines = [f"mkdir -p {quote(command.tmpdir)}"] if command.tmpdir else []
    lines.append(f"cd {quote(command.cwd)}")
    words = ["env", *([] if command.inherits else ["-i"])]
    words += ["--"] if any(name.startswith("-") for name in command.environment) else []
    words += [quote(f"{name}={text}") for name, text in command.environment.items()]
    words = words if len(words) > 1 else []
    words.append(" ".join(map(quote, command.argv)))
    words += [f"{sign} {quote(path)}" for sign, path in (("<", command.stdin), (">", command.stdout)) if path]
    if not command.stdin:
        words.append("< /dev/null")
    if command.stderr:
        words.append("2>&1" if command.stderr == command.stdout else f"2> {quote(command.stderr)}")
    lines.append(" ".join(words))
    return " &&\n".join(lines)
