"""Background jobs: folders indexed one after the other.

Each job is a JSON file in ``data_dir/jobs``, with a report of its failures beside it. A job that
a crash or a restart interrupts starts again: what it has indexed is unchanged, and is skipped.
"""

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from app.errors import InvalidRequest, NotFound, Overloaded, ServiceError
from app.indexing.bulk import BulkIndex
from app.indexing.media_root import MediaRoot
from app.indexing.progress import FailureReport, Progress
from app.indexing.run import FileToIndex, Outcome, files_below, files_of_manifest, index_files
from app.schemas.jobs import FailedFile, IndexRequest, Job, JobState
from model.files import atomic_write_text, make_folder

logger = logging.getLogger(__name__)

MAX_WAITING = 100
MAX_FINISHED = 200  # jobs that have ended and are remembered
MAX_FAILURES = 100  # failed files that a job lists
SAVE_SECONDS = 1.0  # between two writes of a running job
RETRY_SECONDS = 60  # the Retry-After if too many jobs wait


class IndexJobs:
    """The jobs of one server. Methods may be called from any thread.

    Args:
        index: Where files are indexed.
        folder: Where jobs are saved.
        root: What jobs may read; None: no jobs are accepted.
    """

    def __init__(self, index: BulkIndex, folder: Path, *, root: MediaRoot | None) -> None:
        self._index = index
        self._folder = folder
        self._root = root
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}  # by id, oldest first
        self._stops: dict[str, threading.Event] = {}  # of jobs that have not ended
        self._changed = threading.Condition(self._lock)
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def is_closing(self) -> bool:
        """Whether ``close`` was called."""
        return self._closing

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> None:
        """Resume the jobs that were interrupted, and wait for others."""
        for job in _saved(self._folder):
            if not job.state.is_final:
                job = Job(
                    id=job.id, state=JobState.QUEUED, request=job.request, created=job.created
                )
                self._stops[job.id] = threading.Event()
            self._jobs[job.id] = job
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the running job after its current files; it resumes at the next start."""
        with self._lock:
            self._closing = True
            for stop in self._stops.values():
                stop.set()
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def submit(self, request: IndexRequest) -> Job:
        """Queue a job.

        Raises:
            InvalidRequest: Jobs are disabled, or the folder or manifest is not below the media
                root.
            Overloaded: Too many jobs wait.
        """
        self._place(request)
        with self._lock:
            if len(self._stops) >= MAX_WAITING:
                raise Overloaded(
                    f"{len(self._stops)} jobs are queued already: wait until some have ended, or "
                    "cancel some (DELETE /jobs/{id})",
                    retry_after_seconds=RETRY_SECONDS,
                )
            job = Job(
                id=secrets.token_hex(8),
                state=JobState.QUEUED,
                request=request,
                created=datetime.now(UTC),
            )
            _save(self._folder, job)
            self._jobs[job.id] = job
            self._stops[job.id] = threading.Event()
            self._forget_old()
            self._changed.notify_all()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job as it is now.

        Raises:
            NotFound: There is no such job.
        """
        with self._lock:
            return self._job(job_id)

    def all(self) -> list[Job]:
        """Return all jobs, latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; forget one that has ended. Return it.

        A running job ends after its current files.

        Raises:
            NotFound: There is no such job.
        """
        with self._lock:
            job = self._job(job_id)
            if job.state.is_final:
                self._forget(job_id)
            elif job.state is JobState.QUEUED:
                job = self._change(job, state=JobState.CANCELLED, ended=datetime.now(UTC))
            else:
                self._stops[job_id].set()
            return job

    def _run(self) -> None:
        """Run the queued jobs, until closed."""
        while job := self._started():
            state, detail = JobState.FINISHED, None
            try:
                self._index_files(job)
            except (ServiceError, OSError) as error:
                state, detail = JobState.FAILED, str(error)
            except Exception:  # one job must not end the others
                logger.exception("job %s failed", job.id)
                state, detail = JobState.FAILED, "the service failed; see its log"
            with self._lock:
                if self._closing:
                    return  # the job resumes at the next start
                if self._stops[job.id].is_set() and state is JobState.FINISHED:
                    state = JobState.CANCELLED
                ended = datetime.now(UTC)
                self._change(self._jobs[job.id], state=state, detail=detail, ended=ended)

    def _started(self) -> Job | None:
        """Wait for a job and mark it as running; None: closed."""
        with self._changed:
            while not self._closing:
                for job in self._jobs.values():
                    if job.state is JobState.QUEUED:
                        started = datetime.now(UTC)
                        return self._change(job, state=JobState.RUNNING, started=started)
                self._changed.wait()
        return None

    def _index_files(self, job: Job) -> None:
        stop = self._stops[job.id]
        assert self._root is not None
        total = sum(1 for _ in self._files(job.request))
        with self._lock:
            self._change(self._jobs[job.id], total=total)
        outcomes = index_files(
            self._index,
            self._files(job.request),
            workers=self._index.num_workers,
            stop=stop,
            admit=self._root.file,
        )
        progress, saved = Progress(total), time.monotonic()
        report_file = self._folder / f"{job.id}.failures.jsonl"
        with closing(outcomes), FailureReport(report_file) as report:
            for outcome in outcomes:
                report.note(outcome)
                progress.note(outcome)
                is_due = time.monotonic() - saved > SAVE_SECONDS
                with self._lock:
                    counted = _counted(self._jobs[job.id], outcome, progress)
                    self._change(counted, save=is_due)
                if is_due:
                    saved = time.monotonic()

    def _files(self, request: IndexRequest) -> Iterator[FileToIndex]:
        place = self._place(request)
        assert self._root is not None
        parent = place.parent if request.manifest else place
        prefix = self._root.name_of(parent)
        find = files_of_manifest if request.manifest else files_below
        for file in find(place, prefix=prefix):
            yield file._replace(metadata={**request.metadata, **file.metadata})

    def _place(self, request: IndexRequest) -> Path:
        """Return the folder or manifest of a request."""
        if self._root is None:
            raise InvalidRequest(
                "this server indexes no folders: start it with SRCID_MEDIA_ROOT, the folder whose "
                "media may be indexed"
            )
        if request.manifest is None:
            return self._root.folder(request.folder)
        if request.folder:
            raise InvalidRequest("folder and manifest are both given: give one")
        return self._root.manifest(request.manifest)

    def _job(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise NotFound(f"there is no job {job_id!r}: GET /jobs lists all jobs")
        return self._jobs[job_id]

    def _change(self, job: Job, *, save: bool = True, **fields: object) -> Job:
        """Store a job with other fields. The lock must be held."""
        changed = job.model_copy(update=fields)
        self._jobs[job.id] = changed
        if save:
            _save(self._folder, changed)
        if changed.state.is_final:
            self._stops.pop(job.id, None)
        return changed

    def _forget_old(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.state.is_final]
        for job_id in ended[: max(0, len(ended) - MAX_FINISHED)]:
            self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        del self._jobs[job_id]
        for suffix in ("json", "failures.jsonl"):
            (self._folder / f"{job_id}.{suffix}").unlink(missing_ok=True)


def _counted(job: Job, outcome: Outcome, progress: Progress) -> Job:
    """Return the job with one more file finished."""
    update: dict[str, object] = {
        **progress.counts,
        "files_per_second": _rounded(progress.files_per_second),
        "media_per_second": _rounded(progress.media_per_second),
        "seconds_left": _rounded(progress.seconds_left),
    }
    if outcome.kind == "failed" and len(job.failures) < MAX_FAILURES:
        failure = FailedFile(path=outcome.file.label, detail=outcome.detail)
        update["failures"] = [*job.failures, failure]
    return job.model_copy(update=update)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _saved(folder: Path) -> list[Job]:
    """Return the jobs in ``folder``, oldest first; damaged files are skipped."""
    jobs = []
    for path in folder.glob("*.json"):
        try:
            jobs.append(Job.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            logger.warning("%s is not a job: %s", path, error)
    return sorted(jobs, key=lambda job: (job.created, job.id))


def _save(folder: Path, job: Job) -> None:
    make_folder(folder)
    atomic_write_text(folder / f"{job.id}.json", job.model_dump_json(indent=1))
