"""What every scheduler's module does alike."""

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.batch import BatchState
from cwlbalsam.sites.schedulers import SCHEDULERS
from tests.sites.schedulers.recorded import KINDS, NOW, REAL, parsers, recorded, request

every = pytest.mark.parametrize("kind", KINDS)
every_real = pytest.mark.parametrize("kind", REAL)
nasty = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@every
def test_a_script_is_shell_that_goes_to_its_directory_and_ends_with_the_body(kind: str) -> None:
    text = SCHEDULERS[kind].script(request(setup=("export A=1",), body="echo body"))
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    lines = text.splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[-4:] == [
        "cd -- '/work dir' || exit 1",
        "export CWLBALSAM_BATCH_ENDS=$(($(date +%s) + 3661))",
        "export A=1",
        "echo body",
    ]


@every_real
def test_a_script_names_queue_account_and_constraint_in_directives(kind: str) -> None:
    lines = SCHEDULERS[kind].script(request()).splitlines()
    directives = [line for line in lines if line.startswith(SCHEDULERS[kind].PREFIX)]
    assert lines[1 : 1 + len(directives)] == directives, "directives come before all commands"
    for value in ("batch", "physics", "fast", "pilot-1"):
        assert sum(bool(re.search(rf"\b{value}\b", line)) for line in directives) == 1


@every_real
def test_extra_lines_become_directives_with_or_without_the_prefix(kind: str) -> None:
    prefix = SCHEDULERS[kind].PREFIX
    lines = SCHEDULERS[kind].script(request(extra=("--one 1", f"{prefix} --two 'a b'", " "))).splitlines()
    assert f"{prefix} --one 1" in lines
    assert f"{prefix} --two 'a b'" in lines


@every_real
@pytest.mark.parametrize("extra", ["--a\nrm -rf /", "--a\rb", "#OTHER --a", "--a\x00"])
def test_an_extra_line_that_is_more_than_a_directive_is_refused(kind: str, extra: str) -> None:
    with pytest.raises(UserError, match="extra line"):
        SCHEDULERS[kind].script(request(extra=(extra,)))


@every_real
@pytest.mark.parametrize("field", ["queue", "account", "constraint"])
@pytest.mark.parametrize("value", ["a\nb", "a b", 'a"', "a'", "a\\", "a`b`", "a\tb", "a\u2028b"])
def test_a_value_that_could_leave_its_directive_is_refused(kind: str, field: str, value: str) -> None:
    with pytest.raises(UserError, match=field):
        SCHEDULERS[kind].script(request(**{field: value}))


@every
@given(name=nasty, directory=nasty, output=nasty, queue=nasty, account=nasty)
def test_no_value_adds_a_line_or_runs_as_a_command(
    kind: str, name: str, directory: str, output: str, queue: str, account: str
) -> None:
    asked = request(name=name, directory=f"/{directory}", output=f"/{output}", queue=queue, account=account)
    try:
        text = SCHEDULERS[kind].script(asked)
    except UserError:
        return
    prefix = SCHEDULERS[kind].PREFIX
    head = text.split("\ncd -- ")[0].split("\nexec >> ")[0].split("\n")
    first = "if [ -z" if kind == "local" else "export CWLBALSAM_HOSTS="
    assert all(line.startswith((prefix, "#!", first)) for line in head[: 14 if kind != "local" else 2])


@every
def test_a_path_that_a_directive_cannot_hold_is_opened_by_the_script(kind: str) -> None:
    text = SCHEDULERS[kind].script(request(output="/a b/$(x)'.log"))
    assert """exec >> '/a b/$(x)'"'"'.log' 2>&1""" in text.splitlines()


def test_relative_paths_are_refused() -> None:
    with pytest.raises(UserError, match="absolute"):
        SCHEDULERS["slurm"].script(request(directory="here"))


@every
def test_a_recorded_submission_has_a_batch_id(kind: str) -> None:
    batch_id = SCHEDULERS[kind].parse_submit(recorded(kind, "submit"))
    assert batch_id.isascii() and batch_id[0].isdigit()
    assert SCHEDULERS[kind].parse_submit("error: no\n") == ""


@every
def test_an_unknown_state_is_unknown_and_no_crash(kind: str) -> None:
    states = SCHEDULERS[kind].parse_status(recorded(kind, "status"))
    assert all(isinstance(state, BatchState) for state in states.values())
    assert all(isinstance(key, str) and key for key in states)


@every
def test_commands_pass_batch_ids_as_arguments_and_never_through_a_shell(kind: str) -> None:
    scheduler = SCHEDULERS[kind]
    for command in (scheduler.status_command(["1; rm"]), scheduler.cancel_command(["1; rm"])):
        at = command.index("-c") if "-c" in command else -1
        assert "1; rm" not in command[at + 1] or at < 0
        assert any("1; rm" in argument for argument in command)


@every_real
def test_running_jobs_tell_when_they_end_and_waiting_ones_do_not(kind: str) -> None:
    jobs = SCHEDULERS[kind].parse_jobs(recorded(kind, "jobs"), NOW)
    running = [job for job in jobs if job.state is BatchState.RUNNING]
    waiting = [job for job in jobs if job.state in (BatchState.QUEUED, BatchState.HELD)]
    assert running
    assert all(job.started < job.ends and job.user for job in running)
    assert waiting or kind == "torque"
    assert all(job.started == job.ends == 0.0 for job in waiting)
    assert not {BatchState.FINISHED, BatchState.FAILED} & {job.state for job in jobs}


@every
@given(text=st.text(max_size=400))
def test_no_text_whatever_makes_a_parser_crash(kind: str, text: str) -> None:
    for parse in parsers(SCHEDULERS[kind]).values():
        parse(text)


@every
@given(data=st.data())
def test_recorded_output_that_was_damaged_makes_no_parser_crash(kind: str, data: st.DataObject) -> None:
    for what, parse in parsers(SCHEDULERS[kind]).items():
        text = recorded(kind, what)
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 40, len(text))))
        parse(text[:start] + data.draw(st.text(max_size=12)) + text[end:])
        parse(text[start:])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Jobs", "jobs", "nodes", "Queue", "RECORDS", "id", "JOBID", "job_state", "Resource_List", "state", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("kind", ["pbs", "lsf", "flux"])
@given(value=json_values)
def test_no_json_whatever_makes_a_parser_crash(kind: str, value: object) -> None:
    import json

    for parse in parsers(SCHEDULERS[kind]).values():
        parse(json.dumps(value))
