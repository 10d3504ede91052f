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
