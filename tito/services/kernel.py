"""Runs the cells of a notebook in a fresh Jupyter kernel, with time limits, and says what became of each.

The kernel is this Python's own ipykernel whatever kernelspecs the user has installed. What a cell prints is thrown
away: the outcome of a cell is the kernel's reply to it, so no output can look like one.
"""

import ast
import asyncio
import logging
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tito.errors import ProjectError
from tito.services import views
from tito.services.outcomes import MESSAGE_LENGTH, Outcome

START_SECONDS = 60
INTERRUPT_SECONDS = 5  # what a cell gets to end after it was interrupted
OUTPUT_SIZE = 20 << 20  # of what one cell prints and shows
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
FRAME = re.compile(r"\s*(?:Cell|Input) In ?\[(\d+)\],? line (\d+)")
COMPILED_FILE = re.compile(r" \(\w+\.py, line \d+\)$")
# in the kernel: (number of the cell, line) of every frame of the last error, those of what it was raised from first
FRAMES = (
    "(lambda walk, number: (lambda frames: frames(frames, __import__('sys').last_value))("
    "lambda frames, error: [] if error is None else "
    "frames(frames, error.__cause__ or (None if error.__suppress_context__ else error.__context__)) + "
    "[(number(frame.f_code.co_filename), line) for frame, line in walk(error.__traceback__)]))"
    "(__import__('traceback').walk_tb, get_ipython().compile._filename_map.get)"
)
# Python 3.13 calls code that ends too early by a private name
PUBLIC_NAMES = {"_IncompleteInputError": "SyntaxError"}


@dataclass(frozen=True)
class TimeLimits:
    """choose(number, outcomes so far): the seconds of a cell, where they are not the same for each."""

    cell_seconds: float = 20
    total_seconds: float = 600
    choose: Callable | None = None


def run_cells(sources, *, folder, cwd, limits, on_cell=None, outputs=None):
    """Run the code `sources` one after the other, past errors, and return an Outcome for each.

    folder: the view that `tinytorch` must come from; ProjectError where the kernel imports another one.
    on_cell(index): called before each cell. outputs: a dictionary, to be filled with {index: outputs of the cell}.
    """
    # the selector loop, because zmq cannot use Windows' default one
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(_run_cells(sources, folder, cwd, limits, on_cell, outputs))


async def _run_cells(sources, folder, cwd, limits, on_cell, outputs):
    with tempfile.TemporaryDirectory(prefix="tito-kernel-", ignore_cleanup_errors=True) as scratch:
        session = _Session(sources, Path(scratch))
        try:
            await session.start(folder, cwd)
            if outputs is not None:
                session.client.process_message = _keep_outputs(outputs)
            return await session.run(limits, on_cell)
        finally:
            await session.stop()


class _Session:
    """One kernel, from its start to its end."""

    def __init__(self, sources, scratch):
        from nbclient import NotebookClient
        from nbformat import v4

        log = logging.Logger("tito.kernel")
        log.addHandler(logging.NullHandler())
        self.scratch = scratch
        self.manager = _kernel_manager(log)
        self.client = NotebookClient(
            v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources]),
            km=self.manager,
            log=log,
            timeout=None,
            allow_errors=True,
            on_cell_executed=self._keep_reply,
        )
        self.client.process_message = _read_status_only
        self.replies = {}
        self.executed = {}  # the number that IPython gave an execution -> index of the cell

    def _keep_reply(self, cell, cell_index, execute_reply):
        content = execute_reply["content"]
        self.replies[cell_index] = content
        self.executed[content.get("execution_count")] = cell_index

    async def start(self, folder, cwd):
        """Start the kernel in `cwd` and prove that it imports `tinytorch` from `folder`."""
        environment = views.child_environment(folder, is_view=True)
        # a profile of its own: the user's startup files and history are not part of the notebook
        environment["IPYTHONDIR"] = str(self.scratch / "ipython")
        environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        errors = self.scratch / "stderr.txt"
        with errors.open("wb") as stderr:
            await self.client.async_start_new_kernel(
                cwd=str(cwd), env=environment, stdout=subprocess.DEVNULL, stderr=stderr
            )
        try:
            await asyncio.wait_for(self.client.async_start_new_kernel_client(), START_SECONDS)
        except (RuntimeError, TimeoutError) as error:
            said = errors.read_text(encoding="utf-8", errors="replace").strip() or str(error)
            message = f"the Jupyter kernel does not start: {said.splitlines()[-1]}"
            raise ProjectError(message, "tito doctor", code="kernel") from error
        await self._prove_package(folder)

    async def _prove_package(self, folder):
        answer = await self._evaluate("list(__import__('tinytorch').__path__)")
        if answer["status"] != "ok":
            reason = f"{answer['ename']}: {answer['evalue']}"
            raise ProjectError(f"tinytorch cannot be imported: {reason}", "tito doctor", code="package")
        for path in ast.literal_eval(answer["data"]["text/plain"]):
            if not Path(path).resolve().is_relative_to(Path(folder).resolve()):
                raise ProjectError(
                    f"the kernel imports tinytorch from {path}, not from {folder}",
                    "tito doctor",
                    code="wrong-environment",
                )

    async def run(self, limits, on_cell):
        deadline = time.monotonic() + limits.total_seconds
        outcomes, end = [], None
        for index in range(len(self.client.nb.cells)):
            if end is not None:
                outcomes.append(end)
                continue
            if on_cell:
                on_cell(index)
            seconds = limits.choose(index, outcomes) if limits.choose else limits.cell_seconds
            outcome = await self._run_cell(index, min(seconds, deadline - time.monotonic()))
            outcomes.append(outcome)
            reason = await self._reason_to_end(outcome, deadline, limits)
            end = Outcome("skipped", message=reason, cell=index) if reason else None
        return outcomes

    async def _run_cell(self, index, seconds):
        from nbclient.exceptions import DeadKernelError

        start = time.monotonic()
        task = asyncio.ensure_future(self.client.async_execute_cell(self.client.nb.cells[index], index))
        done, _ = await asyncio.wait({task}, timeout=max(0, seconds))
        in_time = bool(done)
        if not in_time:
            await self._interrupt(task)
        took = time.monotonic() - start
        try:
            await task
        except DeadKernelError:
            if in_time:
                return Outcome("died", took, message=_describe_exit(await self.manager.provisioner.poll()))
        if not in_time:
            return Outcome("timeout", took, message=f"did not finish within {seconds:.3g} s")
        if index not in self.replies:  # nbclient sends nothing of a cell that is blank, and so nothing comes back
            return Outcome("ok", took)
        outcome = self._read_reply(self.replies[index], took)
        return replace(outcome, frames=await self._frames(outcome.frames)) if outcome.frames else outcome

    async def _frames(self, printed):
        """The frames of the last error with the lines that raised it; as they were printed where that is not known.

        IPython prints the line at which a function was left: after an error in a with, that of its finally.
        """
        try:
            answer = await self._evaluate(FRAMES, INTERRUPT_SECONDS)
        except (RuntimeError, TimeoutError, KeyError):  # it died meanwhile, or what runs in it holds it up
            return printed
        if answer["status"] != "ok":
            return printed
        known = [frame for frame in ast.literal_eval(answer["data"]["text/plain"]) if frame[0] is not None]
        places = tuple(place for place in (self._place(*frame) for frame in known) if place is not None)
        return places if [cell for cell, _ in places] == [cell for cell, _ in printed] else printed

    async def _evaluate(self, expression, seconds=START_SECONDS):
        reply = await self.client.kc.execute(
            "", silent=True, user_expressions={"asked": expression}, reply=True, timeout=seconds
        )
        return reply["content"]["user_expressions"]["asked"]

    async def _interrupt(self, task):
        """End a cell that ran too long: ask it first, then end the whole kernel."""
        await self.manager.interrupt_kernel()
        done, _ = await asyncio.wait({task}, timeout=INTERRUPT_SECONDS)
        if not done:
            await self.manager.shutdown_kernel(now=True)

    def _read_reply(self, content, took):
        if any(item.get("source") == "ask_exit" for item in content.get("payload", [])):
            return Outcome("died", took, message="it called exit()")
        if content["status"] == "ok":
            return Outcome("ok", took)
        # IPython prints the innermost frame last
        found = [match for text in content.get("traceback", []) if (match := FRAME.match(ANSI.sub("", text)))]
        places = [self._place(*map(int, match.groups())) for match in found]
        return Outcome(
            "error",
            took,
            error=PUBLIC_NAMES.get(content.get("ename"), content.get("ename", "error")),
            message=COMPILED_FILE.sub("", content.get("evalue", ""))[:MESSAGE_LENGTH],
            frames=tuple(place for place in places if place is not None),
        )

    def _place(self, count, line):
        """(cell, line) of IPython's numbers; None where no cell of the notebook has them."""
        cell = self.executed.get(count)
        if cell is None:
            return None
        source = self.client.nb.cells[cell].source
        # IPython drops the empty lines at the top of a cell before it counts
        return cell, line + source[: len(source) - len(source.lstrip())].count("\n")

    async def _reason_to_end(self, outcome, deadline, limits):
        if outcome.status == "died":
            return "the kernel died"
        if not await self.manager.is_alive():
            return "the kernel had to be stopped"
        if time.monotonic() >= deadline:
            return f"the time for the whole notebook, {limits.total_seconds:g} s, was over"
        return ""

    async def stop(self):
        if self.manager.has_kernel:
            await self.manager.shutdown_kernel(now=True)
        if self.client.kc is not None:
            self.client.kc.stop_channels()


def _kernel_manager(log):
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    class ThisPython(KernelSpecManager):
        """Knows one kernel: the ipykernel of the Python that runs tito."""

        def get_kernel_spec(self, kernel_name):
            return KernelSpec(
                argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                display_name="Python 3",
                language="python",
            )

    return AsyncKernelManager(kernel_spec_manager=ThisPython(log=log), log=log)


def _read_status_only(message, cell, cell_index):
    """In place of nbclient's handling of output: an endless print must not fill the memory."""
    from nbclient.exceptions import CellExecutionComplete

    if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
        raise CellExecutionComplete


def _keep_outputs(outputs):
    """In place of nbclient's handling of output: the first megabytes of what each cell prints and shows."""
    from nbformat.v4 import output_from_msg

    sizes = {}

    def keep(message, cell, index):
        kind, size = message["msg_type"], len(repr(message["content"]))
        if kind in ("stream", "display_data", "execute_result", "error"):
            sizes[index] = sizes.get(index, 0) + size
            kept = outputs.setdefault(index, [])
            output = output_from_msg(message)
            if sizes[index] > OUTPUT_SIZE:
                return
            if kind == "stream" and kept and kept[-1].get("name") == output.name:
                kept[-1].text += output.text
            else:
                kept.append(output)
        _read_status_only(message, cell, index)

    return keep


def _describe_exit(code):
    if code is None:
        return "it answers no more"
    if code < 0:
        return f"signal {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"signal {-code}"
    return f"exit code {code}"
