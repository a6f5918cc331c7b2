"""``srcid``: the commands, and how their errors are shown.

Commands import heavy packages (torch, fastapi) inside their functions, so that ``srcid --help``
stays fast.
"""

import io
import os
import re
import sys
from importlib import metadata
from typing import Annotated

import typer

from app.cli.align import align
from app.cli.backbone import backbone
from app.cli.calibrate import calibrate
from app.cli.codes import codes
from app.cli.convert import convert
from app.cli.demo import demo
from app.cli.encode import encode
from app.cli.evaluate import evaluate
from app.cli.extract import extract
from app.cli.index import index
from app.cli.items import items
from app.cli.jobs import jobs
from app.cli.keys import keys
from app.cli.recipes import config, recipes
from app.cli.reproduce import reproduce
from app.cli.scenes import scenes
from app.cli.search import search
from app.cli.serve import serve
from app.cli.store import store
from app.cli.train import train
from app.errors import ServiceError
from model.errors import SRCIDError

# A new command: one import above, one name here.
COMMANDS = (
    demo,
    serve,
    encode,
    index,
    search,
    extract,
    scenes,
    train,
    align,
    evaluate,
    calibrate,
    reproduce,
    recipes,
    config,
    convert,
)
GROUPS = (items, codes, jobs, keys, store, backbone)  # commands of several words
CALLS = {  # in messages of the service -> what a user of the command does instead
    r"\bGET /(items|jobs)\b": r"`srcid \1 list`",
    r"\bPUT /items/[^\s)]+": "--replace",
    r"\bDELETE /jobs/\{id\}": "`srcid jobs cancel ID`",
}
INTERRUPTED = 130  # exit code, as in a shell

cli = typer.Typer(
    name="srcid",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def print_version(is_wanted: bool) -> None:
    """Print the version and exit."""
    if is_wanted:
        print(f"srcid {metadata.version('srcid')}")
        raise typer.Exit


@cli.callback()
def srcid(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Video, sound and text as one vocabulary of discrete codes, and search across them."""


for command in COMMANDS:
    cli.command()(command)
for group in GROUPS:
    cli.add_typer(group)


def main() -> None:
    """Run a command. A user's mistake is one sentence on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):  # a path may hold any bytes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli()
    except (SRCIDError, ServiceError) as error:
        print(f"srcid: {with_commands(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        if is_output_closed():
            sys.exit(1)


def with_commands(message: str) -> str:
    """Return an error message with commands in place of the calls of the API."""
    for call, instead in CALLS.items():
        message = re.sub(call, instead, message)
    return message


def is_output_closed() -> bool:
    """Whether the reader of stdout is gone; Python must then not flush it at exit."""
    if sys.__stdout__ is None:
        return False
    try:
        sys.__stdout__.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
        return True
    return False
