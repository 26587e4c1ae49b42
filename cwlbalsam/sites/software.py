"""Which software a site has: its description says it, or its machine is asked."""

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct

from cwlbalsam.sites.site import MODULES, Site

MARK = "cwlbalsam-finds"
_FIND = f"""
find_software() {{
    for each; do
        case $each in -*) continue;; esac
        if {{ command -v "$each" || command -v "${{each,,}}"; }} > /dev/null 2>&1; then
            echo "{MARK} program $each"
            continue
        fi
        module -t avail "$each" 2>&1 | sed -n 's/^\\([^ :]*[^ :/]\\)$/{MARK} module \\1/p'
    done
    echo "{MARK} all"
}}
try_module() {{
    told=$(module load "$1" 2>&1) && case $told in *"Unable to locate"*) false;; esac && return
    echo "{MARK} lacking $1"
}}"""


class Package(Struct, frozen=True):
    """versions: any of them; none: whatever there is."""

    name: str
    versions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {' or '.join(self.versions)}".rstrip()

    def satisfies(self, wanted: "Package") -> bool:
        """Whether this, which a site has, is what is wanted; who says no version has any."""
        if self.name.lower() != wanted.name.lower():
            return False
        pairs = [(have, want) for have in self.versions for want in wanted.versions]
        return not pairs or any(re.match(rf"{re.escape(want)}(?![\w.])", have) for have, want in pairs)


class Found(Struct, frozen=True):
    """programs: that are on the PATH. modules: that could be loaded. lacking: modules of the site that cannot be."""

    programs: frozenset[str]
    modules: tuple[str, ...]
    lacking: tuple[str, ...]


def told(site: Site) -> list[Package]:
    """What the description says: of its software, and of the modules that its jobs load."""
    return [_package(text) for text in (*site.software, *site.modules)]


def _package(text: str) -> Package:
    """Of `samtools`, `samtools=1.9` and `samtools/1.9`."""
    name, _, version = re.sub(r"[=@/]+", " ", text.removesuffix("(default)"), count=1).partition(" ")
    return Package(name, (version,) if version else ())


def question(site: Site, packages: Iterable[str]) -> list[str]:
    """A command that looks for programs, in the environment of the site's batch jobs, and for modules."""
    loads = [f"try_module {shlex.quote(name)}; module load {shlex.quote(name)}" for name in site.modules]
    lines = [_FIND, MODULES, *loads, *site.setup, 'find_software "$@"']
    return ["bash", "-c", "\n".join(lines), "bash", *packages]


def parse_answer(output: str) -> Found | None:
    """None if there is no answer in it: a machine may print whatever it wants beside."""
    lines = [line.removeprefix(f"{MARK} ") for line in output.splitlines() if line.startswith(f"{MARK} ")]
    if "all" not in lines:
        return None
    named = [line.partition(" ")[::2] for line in lines]
    return Found(
        frozenset(name for kind, name in named if kind == "program"),
        tuple(name for kind, name in named if kind == "module"),
        tuple(name for kind, name in named if kind == "lacking"),
    )


def unknown(site: Site, wanted: Collection[Package]) -> list[Package]:
    """What the description says nothing of."""
    names = {package.name.lower() for package in told(site)}
    return [package for package in wanted if package.name.lower() not in names]


class Missing(Struct, frozen=True):
    """has: other versions of it. loadable: modules that are it."""

    package: Package
    has: tuple[str, ...]
    loadable: tuple[str, ...]


def missing(site: Site, wanted: Sequence[Package], found: Found) -> Iterator[Missing]:
    """What the site does not have."""
    have = told(site)
    for package in wanted:
        if package.name in found.programs or any(each.satisfies(package) for each in have):
            continue
        others = tuple(str(each) for each in have if each.name.lower() == package.name.lower())
        yield Missing(package, others, tuple(name for name in found.modules if _package(name).satisfies(package)))
