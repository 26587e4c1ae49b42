"""Numbers as a report shows them."""


def count(number: int) -> str:
    return f"{number:,}"


def seconds(value: float) -> str:
    """0, 4 ms, 1.25 s, 59.9 s, 3 m 05 s, 2 h 00 m, 3 d 04 h."""
    if value < 0.0005:
        return "0"
    if value < 0.9995:
        return f"{value * 1000:.3g} ms"
    if value < 59.95:
        return f"{value:.3g} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02} h"


def tick_text(value: float) -> str:
    """The same for a round time: 2 m, 1 h 30 m."""
    return seconds(value).replace(" 00 s", "").replace(" 00 m", "").replace(" 00 h", "")


def size(number: float) -> str:
    """0, 412 B, 3.1 MiB."""
    if number < 1024:
        return f"{number:.0f} B" if number else "0"
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024
        if number < 1024:
            return f"{number:.3g} {unit}"
    return f"{number / 1024:.3g} TiB"
