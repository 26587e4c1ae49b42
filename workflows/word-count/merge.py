"""Adds up tables of word and count: merge.py TOP TABLE..."""

import sys
from collections import Counter
from pathlib import Path

total: Counter[str] = Counter()
for table in sys.argv[2:]:
    for line in Path(table).read_text(encoding="ascii").splitlines():
        word, count = line.split("\t")
        total[word] += int(count)
for word, count in sorted(total.items(), key=lambda item: (-item[1], item[0]))[: int(sys.argv[1])]:
    print(word, count, sep="\t")
