"""What /jobs takes and answers."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.fields import Body, Metadata

RelativePath = Annotated[str, Field(max_length=4096)]


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"  # of some files it may say why they are not indexed
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class IndexRequest(Body):
    """A folder to index, or a manifest that names files."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"folder": "farm"}]})
    folder: RelativePath = Field(
        "", description="Folder below the media root; default all of it. Ids start with its path"
    )
    manifest: RelativePath | None = Field(
        None,
        description="Instead of a folder, a .csv or .jsonl file below the media root with path "
        "(relative to the file), optional id, and any other columns as metadata",
    )
    metadata: Metadata = Field(default_factory=dict, description="Metadata added to every item")


class FailedFile(BaseModel):
    """A file that could not be indexed."""

    path: str
    detail: str


class Job(BaseModel):
    """A job that indexes files."""

    id: str
    state: JobState
    request: IndexRequest
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    total: int | None = Field(None, description="Number of files; null until counted")
    indexed: int = 0
    unchanged: int = Field(0, description="Files already indexed")
    failed: int = 0
    failures: list[FailedFile] = Field(default_factory=list, description="The first failures")
    files_per_second: float | None = Field(None, description="Recent rate")
    media_per_second: float | None = Field(
        None, description="Recently encoded seconds of media per second"
    )
    seconds_left: float | None = Field(None, description="Estimate at the recent rate")
    detail: str | None = Field(None, description="Why the job as a whole failed")

    @property
    def done(self) -> int:
        """Number of processed files."""
        return self.indexed + self.unchanged + self.failed


class JobList(BaseModel):
    """All jobs, latest first."""

    jobs: list[Job]
