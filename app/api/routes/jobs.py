"""/jobs: folders of the server that are indexed in the background."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request, status
from fastapi.responses import StreamingResponse

from app.api.problems import documents
from app.errors import NotFound, Overloaded
from app.indexing.jobs import IndexJobs
from app.schemas import IndexRequest, Job, JobList

router = APIRouter(tags=["jobs"])
POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 15.0  # proxies close what is silent for longer


async def get_jobs(request: Request) -> IndexJobs:
    """Return the jobs that ``create_app`` made."""
    return cast(IndexJobs, request.app.state.jobs)


JobsDep = Annotated[IndexJobs, Depends(get_jobs)]
JobId = Annotated[str, Path(alias="id", min_length=1, max_length=64)]


@router.post("/jobs/index", status_code=status.HTTP_202_ACCEPTED, responses=documents(Overloaded))
def index(jobs: JobsDep, body: IndexRequest) -> Job:
    """Index a folder of the server, or what a manifest there names, in the background.

    Only what lies below `SRCID_MEDIA_ROOT` can be named; links that lead out of it are refused.
    Files that are indexed already and have not changed are passed over.
    """
    return jobs.submit(body)


@router.get("/jobs", responses=documents())
def list_jobs(jobs: JobsDep) -> JobList:
    """List the jobs, the latest first."""
    return JobList(jobs=jobs.all())


@router.get("/jobs/{id}", responses=documents(NotFound))
def get_job(jobs: JobsDep, job_id: JobId) -> Job:
    """Return how far a job is, and why files of it failed."""
    return jobs.get(job_id)


@router.get(
    "/jobs/{id}/events",
    response_class=StreamingResponse,
    responses={
        **documents(NotFound),
        200: {"description": "Jobs as server-sent events", "content": {"text/event-stream": {}}},
    },
)
def watch_job(jobs: JobsDep, job_id: JobId) -> StreamingResponse:
    """Tell how far a job is whenever that changes, as server-sent events, until it ends.

    The data of each event is the job as GET /jobs/{id} has it.
    """
    jobs.get(job_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(jobs, job_id), media_type="text/event-stream", headers=headers)


@router.delete("/jobs/{id}", responses=documents(NotFound))
def cancel_job(jobs: JobsDep, job_id: JobId) -> Job:
    """Cancel a job, when the files it works on are done; forget one that has ended.

    What it has indexed stays.
    """
    return jobs.cancel(job_id)


async def _events(jobs: IndexJobs, job_id: str) -> AsyncIterator[str]:
    told: Job | None = None
    silent = 0.0
    while not jobs.is_closing:
        try:
            job = jobs.get(job_id)
        except NotFound:  # forgotten meanwhile
            return
        if job is not told:
            yield f"data: {job.model_dump_json()}\n\n"
            told, silent = job, 0.0
        elif silent >= HEARTBEAT_SECONDS:
            yield ": still there\n\n"
            silent = 0.0
        if job.state.is_final:
            return
        await asyncio.sleep(POLL_SECONDS)
        silent += POLL_SECONDS
