"""``srcid jobs``: let a server index its folders in the background."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import JsonOption, parse_pairs
from app.cli.output import print_json, print_table
from app.cli.target import Target, on_target

if TYPE_CHECKING:  # not loaded by `srcid --help`
    from app.client import Client
    from app.schemas.jobs import Job

jobs = typer.Typer(
    name="jobs",
    help="Let a server index its own folders (--url; by default the one on this machine).",
    no_args_is_help=True,
)
SOME_FAILED = 1  # exit code: some files failed, or the whole job
IdArgument = Annotated[str, typer.Argument(help="Id of a job.")]


@jobs.command()
@on_target
def start(
    target: Target,
    folder: Annotated[str, typer.Argument(help="Folder below the server's SRCID_MEDIA_ROOT.")] = "",
    manifest: Annotated[
        str | None, typer.Option(help="A .csv or .jsonl manifest there, instead of a folder.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", help="name=value for all items; repeatable.")
    ] = None,
    is_watched: Annotated[bool, typer.Option("--watch", help="Wait until the job ends.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start to index a folder; print the id of the job."""
    pairs = parse_pairs(metadata or [], option="--metadata")
    with target.server() as client:
        job = client.start_job(folder, manifest=manifest, metadata=pairs)
        if is_watched:
            _watch(client, job.id, as_json=as_json)
        elif as_json:
            print_json(job)
        else:
            print(job.id)


@jobs.command("list")
@on_target
def list_jobs(target: Target, as_json: JsonOption = False) -> None:
    """List the jobs, latest first."""
    with target.server() as client:
        listed = client.jobs()
    if as_json:
        print_json(listed)
    else:
        _print(listed)


@jobs.command()
@on_target
def show(target: Target, job_id: IdArgument, as_json: JsonOption = False) -> None:
    """Show a job's progress, and why files of it failed."""
    with target.server() as client:
        job = client.job(job_id)
    _print_job(job, as_json=as_json)


@jobs.command()
@on_target
def watch(target: Target, job_id: IdArgument, as_json: JsonOption = False) -> None:
    """Follow a job until it ends. Ctrl-C does not stop the job."""
    with target.server() as client:
        _watch(client, job_id, as_json=as_json)


@jobs.command()
@on_target
def cancel(target: Target, job_id: IdArgument) -> None:
    """Cancel a job, keeping what it has indexed; forget one that has ended."""
    with target.server() as client:
        client.cancel_job(job_id)


def _watch(client: "Client", job_id: str, *, as_json: bool) -> None:
    from tqdm import tqdm

    try:
        with tqdm(unit="file", disable=as_json) as progress:
            for job in client.watch_job(job_id):
                progress.total = job.total
                progress.update(job.done - progress.n)
    except KeyboardInterrupt:
        print(f"\nthe job continues; `srcid jobs cancel {job_id}` ends it", file=sys.stderr)
        raise
    _print_job(job, as_json=as_json)
    if job.failed or job.state == "failed":
        raise typer.Exit(SOME_FAILED)


def _print_job(job: "Job", *, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    _print([job])
    if job.detail:
        print(job.detail)
    for failure in job.failures:
        print(f"not indexed: {failure.path}: {failure.detail}")


def _print(listed: "Sequence[Job]") -> None:
    header = ["id", "state", "folder", "files", "indexed", "unchanged", "failed", "seconds left"]
    print_table(
        header,
        [
            [
                job.id,
                job.state,
                job.request.manifest or job.request.folder or ".",
                "" if job.total is None else job.total,
                job.indexed,
                job.unchanged,
                job.failed,
                "" if job.seconds_left is None else round(job.seconds_left),
            ]
            for job in listed
        ],
    )
