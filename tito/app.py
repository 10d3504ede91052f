"""The root of the command line, and the only place that catches exceptions and chooses exit codes."""

import contextlib
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from tito.commands import (
    benchmark,
    check,
    data,
    doctor,
    export,
    grade,
    hint,
    init,
    milestone,
    module,
    site,
    test,
    update,
)
from tito.console import console
from tito.errors import (
    EXIT_BUG,
    EXIT_OK,
    EXIT_PROJECT,
    EXIT_USAGE,
    Interrupted,
    TitoError,
    Warned,
    machine_problem,
)

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
COMPLETION = "_TITO_COMPLETE"  # what a shell that asks for completions sets
# Typer's or, before Typer 0.20 or so, click's: the class of everything that is wrong with a command line
CommandLineError = typer.BadParameter.__base__
SHOW_WARNING = warnings.showwarning

app = typer.Typer(
    name="tito",
    help="Build your own machine-learning framework, module by module.",
    epilog="Every command also takes --json (one JSON document) and -v, --verbose (what was running when it failed). "
    "It ends with 0 where all is well, 1 where the work or a test failed, 2 for a command line that asks for nothing, "
    "3 where the project or the machine is not in order, 4 where a measurement does not decide, 70 for a bug in tito.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
):
    if version:
        found = _version()
        console.show({"version": found}, lambda: console.line(f"tito {found}"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def _version():
    from tito.project import read_project

    own = read_project(Path(__file__).resolve().parents[1])
    if own is not None:
        return own.version
    from importlib import metadata

    return metadata.version("tinytorch")


for group in (init, doctor, update, module, hint, milestone, export, test, data, benchmark, check, grade, site):
    group.register(app)


def main(arguments=None):
    """Run one command and return the exit code."""
    if COMPLETION in os.environ:
        return _complete_a_word()
    arguments, as_json, verbose = _take_common_options(sys.argv[1:] if arguments is None else list(arguments))
    console.configure(json=as_json, verbose=verbose)
    warnings.showwarning = _show_warning
    try:
        code = _report(arguments, verbose)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # whoever read our output has gone; the interpreter must not complain about it at its end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


def _show_warning(message, category, *place):
    """Print ours as the others of tito; a library's are for whoever works on tito."""
    if issubclass(category, Warned):
        console.warn(str(message))
    else:
        SHOW_WARNING(message, category, *place)


def _complete_a_word():
    """Answer the shell, which asks what can stand where its user pressed Tab."""
    try:
        typer.main.get_command(app)(prog_name="tito")
    except SystemExit as end:
        return end.code
    return EXIT_OK


def _take_common_options(arguments):
    """(the other arguments, --json, --verbose): they are known before parsing, so that its errors obey them too."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    ours = {"--json", "-v", "--verbose"}
    rest = [argument for argument in arguments[:end] if argument not in ours] + arguments[end:]
    return rest, "--json" in arguments[:end], bool({"-v", "--verbose"} & set(arguments[:end]))


def _report(arguments, verbose):
    """Run, then print what went wrong or the document. Returns the exit code."""
    # with --json nothing else may reach stdout, whatever a library prints
    quiet = contextlib.redirect_stdout(sys.stderr) if console.json else contextlib.nullcontext()
    try:
        with quiet:
            code = _invoke(arguments)
    except BrokenPipeError:
        raise
    except BaseException as error:
        return _report_error(error, verbose)
    if console.json:
        console.document()
    return code


def _invoke(arguments):
    # not app(): its own handling of errors would print before ours
    try:
        with typer.main.get_command(app).make_context("tito", arguments) as context:
            context.command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:  # Typer's, when it has installed or shown what completes words in a shell
        return end.code or EXIT_OK
    return EXIT_OK


def _report_error(error, verbose):
    code, exit_code, message, hint = _describe(error)
    if getattr(error, "data", None) is not None:
        console.data = error.data
    if verbose and exit_code == EXIT_BUG:
        import traceback

        traceback.print_exception(error)
    console.error(message, hint)
    if console.json:
        console.document({"code": code, "message": message, "hint": hint})
    return exit_code


def _describe(error):
    """(stable word, exit code, what happened, what to type next)"""
    if isinstance(error, TitoError):
        return error.code, error.exit_code, error.message, error.hint
    if isinstance(error, CommandLineError):
        command = error.ctx.command_path if error.ctx else "tito"
        return "usage", EXIT_USAGE, error.format_message(), f"{command} --help"
    if isinstance(error, Interrupted):
        return "interrupted", EXIT_INTERRUPTED, f"interrupted; {error}", ""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", EXIT_INTERRUPTED, "interrupted; nothing was changed", ""
    if problem := machine_problem(error):
        return "file", EXIT_PROJECT, *problem
    hint = "run it again with -v to see where, and report it"
    return "bug", EXIT_BUG, f"this is a bug in tito: {type(error).__name__}: {error}", hint
