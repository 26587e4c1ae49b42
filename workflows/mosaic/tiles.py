"""Works on tiles: a first line `x y` (where the tile's corner lies), then rows of numbers.

tiles.py level TILE | add WIDTH HEIGHT TILE... | colour RED GREEN BLUE
"""

import sys
from pathlib import Path

Grid = list[list[int]]


def read(path: str) -> tuple[int, int, Grid]:
    """Returns the corner and the rows."""
    first, *rows = Path(path).read_text(encoding="ascii").splitlines()
    x, y = map(int, first.split())
    return x, y, [[int(number) for number in row.split()] for row in rows]


def write(x: int, y: int, rows: Grid) -> None:
    """Prints a tile."""
    print(x, y)
    for row in rows:
        print(*row)


def level(path: str) -> None:
    """The faintest pixel is the background."""
    x, y, rows = read(path)
    background = min(map(min, rows))
    write(x, y, [[pixel - background for pixel in row] for row in rows])


def add(width: int, height: int, paths: list[str]) -> None:
    """The mean of all tiles that cover a pixel; 0 where there is none."""
    covered: list[list[list[int]]] = [[[] for _ in range(width)] for _ in range(height)]
    for path in paths:
        left, top, rows = read(path)
        for y, row in enumerate(rows, top):
            for x, pixel in enumerate(row, left):
                covered[y][x].append(pixel)
    write(0, 0, [[sum(pixels) // max(1, len(pixels)) for pixels in row] for row in covered])


def colour(paths: list[str]) -> None:
    """A portable pixmap in text."""
    red, green, blue = (read(path)[2] for path in paths)
    print("P3", len(red[0]), len(red), 255)
    for rows in zip(red, green, blue, strict=True):
        print("  ".join(" ".join(map(str, pixel)) for pixel in zip(*rows, strict=True)))


if sys.argv[1] == "level":
    level(sys.argv[2])
elif sys.argv[1] == "add":
    add(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
else:
    colour(sys.argv[2:])
