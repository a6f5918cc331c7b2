"""``srcid jobs``: folders of a server that it indexes in the background."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import JsonOption
from app.cli.settings_pairs import parse_pairs
from app.cli.tables import print_json, print_table
from app.cli.target import Target, on_target

if TYPE_CHECKING:  # `srcid --help` answers without them
    from app.client import SRCIDClient
    from app.schemas.jobs import Job

jobs = typer.Typer(
    name="jobs",
    help="Have a server index folders of its own (--url; without, the one on this machine).",
    no_args_is_help=True,
)
SOME_FAILED = 1  # exit code: files of a job, or all of it
IdArgument = Annotated[str, typer.Argument(help="Id of a job.")]


@jobs.command()
@on_target
def start(
    target: Target,
    folder: Annotated[str, typer.Argument(help="Folder below the server's SRCID_MEDIA_ROOT.")] = "",
    manifest: Annotated[
        str | None, typer.Option(help="A .csv or .jsonl there that names the files instead.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", help="name=value for all; repeatable.")
    ] = None,
    is_watched: Annotated[bool, typer.Option("--watch", help="Wait until it is over.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start to index a folder; print the id of the job."""
    given = parse_pairs(metadata or [], option="--metadata")
    with target.server() as client:
        job = client.start_job(folder, manifest=manifest, metadata=given)
        if is_watched:
            _watch(client, job.id, as_json=as_json)
        elif as_json:
            print_json(job)
        else:
            print(job.id)


@jobs.command("list")
@on_target
def list_jobs(target: Target, as_json: JsonOption = False) -> None:
    """List the jobs, the latest first."""
    with target.server() as client:
        found = client.jobs()
    if as_json:
        print_json(found)
    else:
        _print(found)


@jobs.command()
@on_target
def show(target: Target, job_id: IdArgument, as_json: JsonOption = False) -> None:
    """Show how far a job is, and why files of it failed."""
    with target.server() as client:
        job = client.job(job_id)
    _tell(job, as_json=as_json)


@jobs.command()
@on_target
def watch(target: Target, job_id: IdArgument, as_json: JsonOption = False) -> None:
    """Follow a job until it is over. Ctrl-C leaves it alone."""
    with target.server() as client:
        _watch(client, job_id, as_json=as_json)


@jobs.command()
@on_target
def cancel(target: Target, job_id: IdArgument) -> None:
    """Cancel a job; what it has indexed stays. Forget one that is over."""
    with target.server() as client:
        client.cancel_job(job_id)


def _watch(client: "SRCIDClient", job_id: str, *, as_json: bool) -> None:
    from tqdm import tqdm

    try:
        with tqdm(unit="file", disable=as_json) as progress:
            for job in client.watch_job(job_id):
                progress.total = job.total
                progress.update(job.done - progress.n)
    except KeyboardInterrupt:
        print(f"\nthe job goes on; `srcid jobs cancel {job_id}` ends it", file=sys.stderr)
        raise
    _tell(job, as_json=as_json)
    if job.failed or job.state == "failed":
        raise typer.Exit(SOME_FAILED)


def _tell(job: "Job", *, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    _print([job])
    if job.detail:
        print(job.detail)
    for failure in job.failures:
        print(f"not indexed: {failure.path}: {failure.detail}")


def _print(found: "Sequence[Job]") -> None:
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
            for job in found
        ],
    )
