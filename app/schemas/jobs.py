"""What /jobs takes and answers."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.fields import Body, Metadata

RelativePath = Annotated[str, Field(max_length=4096)]


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"  # of some files it may say why they are not indexed
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class IndexRequest(Body):
    """A folder to index, or a manifest that names files."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"folder": "farm"}]})
    folder: RelativePath = Field(
        "", description="Below the media root; all of it by default. Ids begin with its path"
    )
    manifest: RelativePath | None = Field(
        None,
        description="A .csv or .jsonl file below the media root instead: path (from its own "
        "folder), and where wanted id; what else a line says becomes metadata",
    )
    metadata: Metadata = Field(default_factory=dict, description="Given to every item")


class FailedFile(BaseModel):
    """A file that was not indexed."""

    path: str
    detail: str


class Job(BaseModel):
    """A batch of files that is being indexed."""

    id: str
    state: JobState
    request: IndexRequest
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    total: int | None = Field(None, description="Files; null until they are counted")
    indexed: int = 0
    unchanged: int = Field(0, description="Files that were indexed already")
    failed: int = 0
    failures: list[FailedFile] = Field(
        default_factory=list, description="Of the files that failed, the first ones"
    )
    files_per_second: float | None = Field(None, description="Lately")
    media_per_second: float | None = Field(
        None, description="Seconds of media that were encoded in a second, lately"
    )
    seconds_left: float | None = Field(None, description="At that rate")
    detail: str | None = Field(None, description="Why the job as a whole failed")

    @property
    def done(self) -> int:
        """Files that are dealt with."""
        return self.indexed + self.unchanged + self.failed


class JobList(BaseModel):
    """All jobs that are remembered, the latest first."""

    jobs: list[Job]
