"""/jobs: indexing folders of the server in the background."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request, status
from fastapi.responses import StreamingResponse

from app.api.deps import ServiceDep
from app.api.problems import documents
from app.errors import NotFound, Overloaded
from app.indexing.jobs import IndexJobs
from app.schemas.jobs import IndexRequest, Job, JobList
from app.service.async_service import AsyncRetrievalService

router = APIRouter(tags=["jobs"])
POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 15.0  # proxies close connections that are silent for longer


async def get_jobs(request: Request) -> IndexJobs:
    """Return the jobs that ``create_app`` made."""
    return cast(IndexJobs, request.app.state.jobs)


JobsDep = Annotated[IndexJobs, Depends(get_jobs)]
JobId = Annotated[str, Path(alias="id", min_length=1, max_length=64)]


@router.post("/jobs/index", status_code=status.HTTP_202_ACCEPTED, responses=documents(Overloaded))
def index(jobs: JobsDep, body: IndexRequest) -> Job:
    """Index a folder of the server, or what a manifest there names, in the background.

    Only files below `SRCID_MEDIA_ROOT` can be named; links that lead out of it are rejected.
    Files that are indexed and unchanged are skipped.
    """
    return jobs.submit(body)


@router.get("/jobs", responses=documents())
def list_jobs(jobs: JobsDep) -> JobList:
    """List the jobs, latest first."""
    return JobList(jobs=jobs.all())


@router.get("/jobs/{id}", responses=documents(NotFound))
def get_job(jobs: JobsDep, job_id: JobId) -> Job:
    """Return a job's progress, and why files of it failed."""
    return jobs.get(job_id)


@router.get(
    "/jobs/{id}/events",
    response_class=StreamingResponse,
    responses={
        **documents(NotFound),
        200: {"description": "Jobs as server-sent events", "content": {"text/event-stream": {}}},
    },
)
def watch_job(service: ServiceDep, jobs: JobsDep, job_id: JobId) -> StreamingResponse:
    """Stream a job's progress as server-sent events, until it ends.

    The data of each event is the job as GET /jobs/{id} returns it.
    """
    jobs.get(job_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _events(service, jobs, job_id), media_type="text/event-stream", headers=headers
    )


@router.delete("/jobs/{id}", responses=documents(NotFound))
def cancel_job(jobs: JobsDep, job_id: JobId) -> Job:
    """Cancel a job after finishing its current files; forget one that has ended.

    Files that it has indexed stay.
    """
    return jobs.cancel(job_id)


async def _events(
    service: AsyncRetrievalService, jobs: IndexJobs, job_id: str
) -> AsyncIterator[str]:
    latest: Job | None = None
    silent = 0.0
    while not (jobs.is_closing or service.is_draining):
        try:
            job = jobs.get(job_id)
        except NotFound:  # forgotten meanwhile
            return
        if job is not latest:
            yield f"data: {job.model_dump_json()}\n\n"
            latest, silent = job, 0.0
        elif silent >= HEARTBEAT_SECONDS:
            yield ": heartbeat\n\n"
            silent = 0.0
        if job.state.is_final:
            return
        await asyncio.sleep(POLL_SECONDS)
        silent += POLL_SECONDS
