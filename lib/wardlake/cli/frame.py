"""What every command shares: its flags, its answer, and how it says that something is wrong."""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from wardlake.model.errors import WardlakeError

WRONG_USE, INTERNAL, INTERRUPTED = 2, 70, 130


def _must_be_silent() -> bool:
    """spark-submit pours our stderr into its stdout: with `--json` nothing but the one object may go there."""
    return "PYSPARK_GATEWAY_PORT" in os.environ and "--json" in sys.argv


ERRORS = Console(stderr=True, soft_wrap=True, highlight=False, quiet=_must_be_silent())


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The flags of every command."""

    conf: Path
    lake: str
    environment: str
    as_json: bool


def command_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--conf`, `--lake`, `--env` and `--json`, and hand them to it as one `Options`."""

    @click.option(
        "--conf", type=click.Path(path_type=Path), default=Path("conf"), show_default=True, help="Configuration folder."
    )
    @click.option("--lake", default="./.lake", show_default=True, help="Folder or URI the zones lie under.")
    @click.option("--env", "environment", default="embedded", show_default=True, help="Name under conf/environments/.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    @functools.wraps(function)
    def with_options(conf: Path, lake: str, environment: str, as_json: bool, **rest: Any) -> Any:
        return function(Options(conf=conf, lake=lake, environment=environment, as_json=as_json), **rest)

    return with_options


def answer(options: Options, document: Mapping[str, Any], text: str) -> None:
    """Print the command's answer: JSON for machines or text for people."""
    if options.as_json:
        click.echo(json.dumps(document, indent=2, sort_keys=True))
    else:
        click.echo(text)


def report_error(problem: WardlakeError, *, as_json: bool) -> int:
    """Say what, which and what next on stderr (and as JSON on stdout when asked); returns the exit code."""
    ERRORS.print(f"[bold red]✗[/] {_escaped(problem.what)}")
    for item in problem.which:
        ERRORS.print(f"  - {_escaped(item)}")
    if problem.next_step:
        ERRORS.print(f"[bold]Next:[/] {_escaped(problem.next_step)}")
    if as_json:
        _print_error(problem.exit_code, type(problem).__name__, problem.what, which=problem.which, next_step=problem.next_step)
    return problem.exit_code


def report_wrong_use(problem: click.ClickException, *, as_json: bool) -> int:
    """A command line that cannot be read: how it is used on stderr, as click says it."""
    if not ERRORS.quiet:
        problem.show()
    if as_json:
        context = problem.ctx if isinstance(problem, click.UsageError) else None
        help_of = f"{context.command_path} --help" if context else ""
        _print_error(WRONG_USE, type(problem).__name__, problem.format_message(), next_step=help_of)
    return WRONG_USE


def report_interrupt(*, as_json: bool) -> int:
    """Somebody stopped the command."""
    ERRORS.print("Stopped. The same command goes on where this one ended.")
    if as_json:
        _print_error(INTERRUPTED, "Interrupted", "Stopped.", next_step="the same command goes on where this one ended")
    return INTERRUPTED


def report_bug(problem: BaseException, *, as_json: bool) -> int:
    """An error that is ours: its type and where it arose, never its message, which may hold a cell's value."""
    what = f"A bug in Wardlake: {type(problem).__name__}. Its message is withheld: it could hold data."
    ERRORS.print(f"[bold red]✗[/] {what}")
    for frame in traceback.extract_tb(problem.__traceback__)[-6:]:
        ERRORS.print(f"  at {Path(frame.filename).name}:{frame.lineno} in {_escaped(frame.name)}")
    if as_json:
        _print_error(INTERNAL, type(problem).__name__, what)
    return INTERNAL


def _print_error(code: int, kind: str, what: str, *, which: Sequence[str] = (), next_step: str = "") -> None:
    """The one object on stdout of a command that failed: the same keys however it failed."""
    click.echo(
        json.dumps({"error": {"exit_code": code, "kind": kind, "what": what, "which": list(which), "next": next_step}}, indent=2)
    )


def run(group: click.Group, arguments: list[str] | None) -> NoReturn:
    """Run a command line and leave with its exit code."""
    as_json = "--json" in (arguments if arguments is not None else sys.argv)
    try:
        code = group.main(arguments, standalone_mode=False)
    except WardlakeError as problem:
        code = report_error(problem, as_json=as_json)
    except click.ClickException as problem:
        code = report_wrong_use(problem, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        code = report_interrupt(as_json=as_json)
    except Exception as problem:  # the one place where everything else ends: its message must not reach a log
        code = report_bug(problem, as_json=as_json)
    sys.exit(code if isinstance(code, int) else 0)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
