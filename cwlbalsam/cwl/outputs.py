"""Collect a job's outputs: cwl.output.json or output bindings, then locations, checksums and types."""

import os
import stat
from typing import Any

import msgspec

from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.globbing import find
from cwlbalsam.cwl.memo import once_for_each
from cwlbalsam.cwl.records import Expr, Field, OutputBinding, Primitive, Process, RecordType, Type
from cwlbalsam.cwl.secondary import is_required, secondary_names
from cwlbalsam.cwl.settling import Settling
from cwlbalsam.cwl.staging import Stage, below
from cwlbalsam.cwl.types import accepts_null, check, matches, options_of
from cwlbalsam.cwl.values import (
    Value,
    decode_json,
    is_file_or_directory,
    load_listing,
    open_regular,
    path_of_uri,
    read_contents,
    set_name,
    summary,
)
from cwlbalsam.errors import JobError, Problem

ANY = Primitive(name="Any")


def collect_outputs(frame: Frame, stage: Stage) -> dict[str, Any]:
    """All declared outputs of a finished tool. Raises JobError if one is missing, of a wrong type, or not its own."""
    process = frame.process
    if os.path.islink(stage.outdir):
        raise JobError("the job has put a link in the place of its output directory")
    settling = Settling(stage, frame.settings.compute_checksum)
    outputs = _written_outputs(stage)
    if outputs is None:
        collector = _Collector(frame, stage, settling)
        outputs = {field.name: collector.collect(field) for field in process.outputs}
    else:
        outputs = {field.name: outputs.get(field.name) for field in process.outputs}
    settling.settle_all(outputs)
    check_outputs(process, outputs)
    return outputs


def check_outputs(process: Process, outputs: dict[str, Any]) -> None:
    """Raises JobError with every output that is not of its type."""
    problems = [
        Problem(field.place, message)
        for field in process.outputs
        if not (outputs[field.name] is None and field.type == ANY)  # as an output, Any may be null
        and not matches(outputs[field.name], field.type)
        for message in check(outputs[field.name], field.type, f"outputs.{field.name}")
    ]
    if problems:
        raise JobError.of(problems)


def _written_outputs(stage: Stage) -> dict[str, Any] | None:
    """What the tool itself says its outputs are."""
    path = f"{stage.outdir}/cwl.output.json"
    try:
        with open_regular(path) as file:
            text = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JobError(f"cannot read {path}: {error.strerror}") from error
    try:
        outputs = decode_json(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JobError(f"{path} is not JSON: {error}") from error
    except RecursionError as error:
        raise JobError(f"{path} is nested too deeply") from error
    if not isinstance(outputs, dict):
        raise JobError(f"{path} must hold an object that maps outputs to values, not {summary(outputs)}")
    return outputs


class _Collector:
    """Applies output bindings."""

    def __init__(self, frame: Frame, stage: Stage, settling: Settling) -> None:
        self.frame = frame
        self.stage = stage
        self.settling = settling

    def collect(self, field: Field) -> Any:
        binding = field.output
        result: Any = None
        if binding is not None:
            patterns = self._patterns(field, binding)
            hits = [self._hit(found, binding) for pattern in patterns for found in self._find(pattern)]
            result = hits if binding.output_eval is None else self.frame.evaluate(binding.output_eval, hits)
            single, optional = shape(field.type)
            if single:
                result = self._one(field, result, patterns, optional)
            if field.secondary_files:
                self._add_secondary_files(field, result)
            if field.format:
                self._set_format(field, result)
            if optional and not result and (result is None or isinstance(result, list)):
                return None
        if not result and isinstance(field.type, RecordType):
            return {inner.name: self.collect(inner) for inner in field.type.fields}
        return result

    def _patterns(self, field: Field, binding: OutputBinding) -> list[str]:
        patterns: list[str] = []
        for template in binding.glob:
            if isinstance(template, str):
                patterns.append(template)
                continue
            found = self.frame.evaluate(template)
            for item in found if isinstance(found, list) else [found] if found else []:
                if not isinstance(item, str):
                    raise wrong(f"output '{field.name}': 'glob'", "a string or a list of strings", item, template)
                patterns.append(item)
        return patterns

    def _find(self, pattern: str) -> list[str]:
        for outdir in (self.stage.seen_outdir, self.stage.outdir):
            inside = below(pattern, outdir)
            if inside is not None:
                pattern = inside.strip("/") or "."
        if pattern.startswith("/"):
            raise JobError(f"glob pattern {pattern!r} leads out of the output directory")
        return find(self.stage.outdir, pattern) if pattern else []

    def _hit(self, found: str, binding: OutputBinding) -> Value:
        """The File or Directory that a pattern has found, as outputEval sees it."""
        seen = f"{self.stage.seen_outdir}/{found}" if found else self.stage.seen_outdir
        location, status = self.settling.locate(seen)
        value: Value = {"class": "Directory" if stat.S_ISDIR(status.st_mode) else "File"}
        set_name(value, seen.rpartition("/")[2])
        self.settling.describe(value, location, status)
        value["path"] = seen
        if value["class"] == "File":
            value["dirname"] = seen.rpartition("/")[0]
            if binding.load_contents:
                value["contents"] = read_contents(path_of_uri(location), self.frame.version)
        else:
            load_listing(value, binding.load_listing or self.frame.requirements.load_listing)
        return value

    def _one(self, field: Field, result: Any, patterns: list[str], optional: bool) -> Any:
        if not result and optional:
            return None
        if not result:
            raise self._missing(field, patterns)
        if not isinstance(result, list):
            return result
        if len(result) > 1 and matches(result, field.type):
            return result
        if len(result) > 1:
            names = ", ".join(repr(item.get("basename")) for item in result[:10] if isinstance(item, dict))
            raise JobError(
                f"output '{field.name}' is a single file, but {len(result)} match: {names}", place=field.place
            )
        return result[0]

    def _missing(self, field: Field, patterns: list[str]) -> JobError:
        held = sorted(os.listdir(self.stage.outdir))
        names = ", ".join(map(repr, held[:12])) + (f" and {len(held) - 12} more" if len(held) > 12 else "")
        what = " or ".join(map(repr, patterns)) or "its outputEval"
        return JobError(
            f"output '{field.name}': nothing matches {what}",
            place=field.output.place if field.output is not None and field.output.place else field.place,
            hint=f"the output directory holds {names or 'nothing'}",
        )

    # --- secondary files and formats -------------------------------------------------------------------------------

    def _add_secondary_files(self, field: Field, result: Any) -> None:
        for primary in _files_of(result):
            path = primary.get("path")
            if not isinstance(path, str):
                if "location" not in primary:
                    continue
                path = path_of_uri(primary["location"])
            present = primary.setdefault("secondaryFiles", [])
            for wanted in field.secondary_files:
                for name in secondary_names(self.frame, wanted, primary):
                    if isinstance(name, dict):
                        present.append(name)
                        continue
                    if any(value.get("basename") == name for value in present):
                        continue
                    seen = os.path.normpath(os.path.join(os.path.dirname(path), name))
                    if self._exists(seen):
                        present.append(self._hit_at(seen))
                    elif is_required(self.frame, wanted, primary):
                        raise JobError(
                            f"output '{field.name}': required secondary file {name!r} of {primary['basename']!r} "
                            "is missing",
                            place=wanted.place or field.place,
                        )

    def _exists(self, seen: str) -> bool:
        seen = os.path.join(self.stage.seen_outdir, seen)
        if self.stage.origin_of(seen) is None and below(seen, self.stage.seen_outdir) is None:
            return os.path.exists(seen) and not self.stage.contained
        return os.path.lexists(self.stage.to_host(seen))

    def _hit_at(self, seen: str) -> Value:
        seen = os.path.join(self.stage.seen_outdir, seen)
        location, status = self.settling.locate(seen)
        value: Value = {"class": "Directory" if stat.S_ISDIR(status.st_mode) else "File"}
        set_name(value, seen.rpartition("/")[2])
        self.settling.describe(value, location, status)
        value["path"] = seen
        return value

    def _set_format(self, field: Field, result: Any) -> None:
        template = field.format[0]
        for primary in _files_of(result):
            value = self.frame.evaluate(template, primary) if isinstance(template, Expr) else template
            if value is None:
                continue
            if not isinstance(value, str):
                raise wrong(f"output '{field.name}': 'format'", "a string", value, template)
            primary["format"] = value


def _files_of(result: Any) -> list[Value]:
    return [item for item in (result if isinstance(result, list) else [result]) if is_file_or_directory(item)]


@once_for_each
def shape(kind: Type) -> tuple[bool, bool]:
    """(is it a single File or Directory, may it be null)."""
    names = {option.name for option in options_of(kind) if isinstance(option, Primitive)}
    return bool(names & {"File", "Directory"}), accepts_null(kind)
