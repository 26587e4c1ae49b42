"""The report's page. All text of a run passes through `say`, and a policy in the page forbids what is not its own."""

import base64
import hashlib
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from cwlbalsam import __version__
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.service.logs import log_tail
from cwlbalsam.service.report.charts import gantt, running
from cwlbalsam.service.report.drawing import draw_run
from cwlbalsam.service.report.run_data import FailedJob, ReportData, StepData, median
from cwlbalsam.service.report.text import say
from cwlbalsam.service.report.units import count, seconds, size

STEP_ROWS = 300
TAIL_BYTES = 3000
STATES = ("done", "skipped", "running", "failed", "killed", "waiting")
WORDS = {"killed": "not run"}
_HERE = Path(__file__).parent


def write_page(data: ReportData) -> str:
    """The whole page."""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    name = say(data.run.name, 200)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}: {data.view.status}</title>",
        f"<style>{(_HERE / 'page.css').read_text(encoding='utf-8')}</style></head><body><main>",
        f'<header><h1>{name}</h1><span class="status {data.view.status}">{data.view.status}</span></header>',
        *_summary(data),
        *_failures(data),
        *_charts(data),
        *_steps(data),
        *_drawing(data),
        f"<footer>run {say(data.run.id)} &middot; written by cwlbalsam {__version__}, {_clock(time.time())}</footer>",
        f"</main><script>{script}</script></body></html>",
        "",
    ]
    return "\n".join(parts)


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else ""


# --- summary -------------------------------------------------------------------------------------------------------


def _summary(data: ReportData) -> Iterator[str]:
    totals = {state: sum(getattr(step, state) for step in data.steps) for state in STATES}
    total = sum(totals.values())
    busy = sum(sum(step.seconds) for step in data.steps)
    yield '<div class="tiles">'
    yield _tile(seconds(data.view.seconds), "from start to end" if data.run.ended else "since the start")
    yield _tile(count(totals["done"] + totals["skipped"]), f"of {count(total)} jobs done")
    yield _tile(count(totals["failed"]), "failed", "bad" if totals["failed"] else "")
    yield _tile(f"{busy / data.span:.3g}", "jobs at once, on average")
    yield _tile(seconds(data.cpu_seconds), "of CPU")
    yield _tile(size(data.peak_memory), "largest job's memory")
    yield "</div>"
    yield "<section>"
    if total:
        shares = [f'<i class="{s}" style="width:{100 * n / total:.3f}%"></i>' for s, n in totals.items() if n]
        yield f'<div class="share">{"".join(shares)}</div>'
        keys = [f'<span><i class="{s}"></i>{count(n)} {WORDS.get(s, s)}</span>' for s, n in totals.items() if n]
        yield f'<div class="legend">{"".join(keys)}</div><br>'
    run = data.run
    facts = {
        "Document": run.document,
        "Started": f"{_clock(run.created)} on {run.host}",
        "Ended": _clock(run.ended),
        "Outputs": run.outdir,
        "Files": run.directory,
        "Message": run.message,
    }
    yield "<dl>" + "".join(f"<dt>{key}</dt><dd>{say(text, 600)}</dd>" for key, text in facts.items() if text) + "</dl>"
    yield "</section>"


def _tile(number: str, text: str, kind: str = "") -> str:
    return f'<div class="tile {kind}"><b>{number}</b><span>{text}</span></div>'


# --- failures ------------------------------------------------------------------------------------------------------


def _failures(data: ReportData) -> Iterator[str]:
    if not data.failures:
        return
    more = f"the first {len(data.failures)} of {count(len(data.failures) + data.failures_left)}"
    left = f"<small>{more}</small>" if data.failures_left else ""
    yield f'<section class="long"><h2>Failed jobs{left}</h2><div class="failures">'
    unfolded = 3 if len(data.failures) <= 5 else 1
    for number, failed in enumerate(data.failures):
        yield from _failure(failed, short_run_id(data.run.id), number < unfolded)
    yield "</div></section>"


def _failure(failed: FailedJob, run: str, is_open: bool) -> Iterator[str]:
    ending = failed.ending
    error = ending.error or failed.message
    yield f"<details{' open' if is_open else ''}><summary><b>{say(failed.name, 300) or 'the run'}</b>"
    yield f"{say(error.partition(chr(10))[0], 300)}</summary>"
    facts = [seconds(ending.ended - ending.started)] if ending.started else []
    facts += [f"{seconds(ending.cpu_seconds)} of CPU"] if ending.cpu_seconds else []
    facts += [f"{size(ending.peak_memory_bytes)} of memory"] if ending.peak_memory_bytes else []
    if facts:
        yield f'<span class="dim">{", ".join(facts)}</span>'
    if "\n" in error:
        yield f"<pre>{say(error)}</pre>"
    if ending.command is not None:
        yield f"<pre>{say(shlex.join(ending.command.argv))}</pre>"
    tail, is_all = log_tail(ending.log, TAIL_BYTES)
    if tail:
        yield f"<pre>{'' if is_all else '[...]'}{say(tail)}</pre>"
    yield f'<span class="dim">More: <code>cwlbalsam explain {run} {failed.id}</code></span></details>'


# --- charts, steps, drawing ----------------------------------------------------------------------------------------


def _charts(data: ReportData) -> Iterator[str]:
    if not any(step.starts for step in data.steps):
        return
    yield "<section><h2>Timeline<small>each step's jobs; hover for names and times</small></h2>"
    yield f"{gantt(data)}</section>"
    yield f"<section><h2>Jobs running at once</h2>{running(data)}</section>"


HEADINGS = ("Step", "Jobs", "Failed", "Median", "Longest", "CPU", "CPU/time", "Memory", "Most")


def _steps(data: ReportData) -> Iterator[str]:
    steps = data.steps
    shown = sorted(steps, key=lambda step: (step.failed > 0, sum(step.seconds)), reverse=True)[:STEP_ROWS]
    keep = {id(step) for step in shown}
    shown = [step for step in steps if id(step) in keep]
    left = f"<small>{count(len(steps) - len(shown))} short ones are left out</small>" if len(shown) < len(steps) else ""
    yield '<section class="long"><input type="search" id="search" placeholder="Filter" aria-label="Filter" hidden>'
    yield f'<h2>Steps{left}</h2><div class="scroll"><table id="steps"><thead><tr>'
    yield "".join(f'<th data-sort title="Sort">{name}</th>' for name in HEADINGS)
    yield '<th title="median and longest">Time</th><th title="median and most">Memory</th></tr></thead><tbody>'
    longest = max((max(step.seconds, default=0.0) for step in shown), default=0.0)
    most = max((max(step.memory, default=0.0) for step in shown), default=0.0)
    for step in shown:
        yield _step_row(step, longest, most)
    yield "</tbody></table></div></section>"


def _step_row(step: StepData, longest: float, most: float) -> str:
    times, cpu = step.seconds, sum(step.cpu)
    middle, top = median(times), max(times, default=0.0)
    memory, peak = median(step.memory), max(step.memory, default=0.0)
    share = cpu / sum(times) if sum(times) else 0.0
    done = step.done + step.skipped
    jobs = count(step.total) if done == step.total else f"{count(done)} of {count(step.total)}"
    numbers: list[tuple[float, str]] = [
        (step.total, jobs),
        (step.failed, f'<b class="bad">{count(step.failed)}</b>' if step.failed else ""),
    ]
    if times:
        numbers += [(middle, seconds(middle)), (top, seconds(top)), (cpu, seconds(cpu)), (share, f"{share:.0%}")]
        numbers += [(memory, size(memory)), (peak, size(peak))]
    else:
        numbers += [(0, "")] * 6
    cells = [f'<td data-value="{value:.6g}">{text}</td>' for value, text in numbers]
    bars = [
        f'<td class="bars">{_meter(middle, top, longest)}</td>',
        f'<td class="bars">{_meter(memory, peak, most)}</td>',
    ]
    title = f"{WORDS.get(step.state, step.state)}"
    name = say(step.name, 200) or "(the tool)"
    dot = f'<i class="dot {step.state}" title="{title}"></i>'
    return f'<tr><td class="name">{dot}{name}</td>{"".join(cells + bars)}</tr>'


def _meter(middle: float, top: float, most: float) -> str:
    if not most or not top:
        return ""
    return (
        f'<div class="meter"><i style="width:{100 * top / most:.1f}%"></i>'
        f'<i style="width:{100 * middle / most:.1f}%"></i></div>'
    )


def _drawing(data: ReportData) -> Iterator[str]:
    if data.program is None:
        return
    image = draw_run(data.program, {step.name: step.state for step in data.steps})
    if image is None:
        return
    states = dict.fromkeys(step.state for step in data.steps)
    keys = [f'<span><i class="{state}"></i>{WORDS.get(state, state)}</span>' for state in states]
    yield f'<section><h2>Workflow</h2><div class="legend">{"".join(keys)}</div><br>'
    yield f'<div class="drawing"><img alt="The steps" src="data:image/svg+xml;base64,{image}"></div></section>'
