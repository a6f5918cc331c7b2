"""Every setting of the service: a ``SRCID_*`` environment variable or an option of a command."""

import difflib
import logging
import os
from pathlib import Path
from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from model.errors import ConfigError

logger = logging.getLogger(__name__)

PREFIX = "SRCID_"
# Read elsewhere: by commands that ask a server, and by the backbones whose weights a user brings.
OTHERS = {"SRCID_URL", "SRCID_API_KEY", "SRCID_VGG19", "SRCID_VGGISH", "SRCID_BERT"}
IndexKind = Literal["codes", "postings", "flat", "ivf", "hnsw"]


class Settings(BaseSettings):
    """How the service runs. ``SRCID_PORT=8001`` in the environment sets ``port``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one")
    workers: PositiveInt = Field(
        1, description="Processes that answer: one that writes, the others read beside it"
    )
    data_dir: Path = Field(
        Path("~/.srcid"), description="Folder of the index; made when first needed"
    )
    store_url: str | None = Field(
        None,
        pattern=r"^(https?://\S+|\S+\.db)$",
        description="Milvus, where items are kept in place of the folder: http://host:19530 (needs "
        "`pip install 'srcid[cluster]'`)",
    )
    store_collection: str = Field(
        "srcid",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$",
        description="Name of the collection in Milvus",
    )
    store_token: SecretStr | None = Field(
        None, description="What Milvus asks for: user:password, or an API key"
    )
    checkpoint: str = Field(
        "default", min_length=1, description="Name of a shipped checkpoint, or a folder"
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where the network runs and codes are scanned: cpu, cuda, cuda:1, or auto (a "
        "GPU if any)",
    )
    allow_anonymous: bool = Field(
        False, description="Serve requests without an API key, on any address"
    )
    max_requests_per_minute: NonNegativeInt = Field(
        0, description="Requests a minute that each API key may make; 0 is no limit"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="How the log on stderr is written: text, or json, an object a line"
    )
    tracing: bool = Field(
        False, description="Send OpenTelemetry traces (needs `pip install 'srcid[tracing]'`)"
    )
    keep_media: bool = Field(
        False, description="Keep the media of items that are added, for GET /items/{id}/media"
    )
    media_root: Path | None = Field(
        None, description="Folder that POST /jobs/index may read; no jobs where it is not set"
    )
    cors_origins: tuple[str, ...] = Field(
        (), description='Web origins that may call, as JSON: ["https://example.org"]; ["*"] is all'
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Names, as JSON, by which requests without a key may call this service, beside "
        'localhost and addresses: ["srcid.lan"]; ["*"] is any',
    )
    root_path: str = Field(
        "", pattern=r"^(/[^/?#]+)*$", description="Prefix that a proxy strips off, such as /srcid"
    )
    index: IndexKind = Field(
        "codes",
        description="How streams are searched: codes (exact), postings (nearly, faster among a "
        "million), or flat, ivf, hnsw (float vectors)",
    )
    max_live: PositiveInt = Field(8, description="Sounds that /live encodes at the same time")
    max_upload_bytes: PositiveInt = Field(64 * 2**20, description="Largest request body")
    max_text_characters: PositiveInt = Field(2000, description="Longest sentence")
    max_metadata_bytes: PositiveInt = Field(2**16, description="Largest metadata of an item")
    max_media_bytes: PositiveInt = Field(2**31, description="Largest media file read from disk")
    max_media_seconds: PositiveInt = Field(3600, description="Longest media that is accepted")
    max_steps: PositiveInt = Field(
        60,
        description="Seconds of media that a request has encoded; `srcid index` and jobs make "
        "several items of longer media",
    )
    max_decodes: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="Media files decoded at the same time; as many as processors by default",
    )
    max_decode_seconds: PositiveInt = Field(
        30, description="Seconds that decoding one media file may take"
    )
    max_decode_memory_bytes: PositiveInt = Field(
        2**31, description="Memory that decoding one media file may take"
    )
    network_threads: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="Items that the network encodes at the same time on a CPU; as many as "
        "processors by default",
    )
    max_batch: PositiveInt = Field(
        16,
        description="Items that the network encodes at the same time on a GPU; on a CPU, the most "
        "that a thread encodes one by one and answers together",
    )
    max_run_seconds: PositiveInt = Field(
        60, description="Seconds after which a batch that is late counts as hanging"
    )
    max_queue: PositiveInt = Field(
        128,
        description="Media files, and as many sentences, that may wait to be encoded; more are "
        "refused with 503",
    )
    max_inflight_bytes: PositiveInt = Field(
        2**29, description="Bytes of all requests together that are held; more are refused with 503"
    )
    drain_seconds: NonNegativeFloat = Field(
        1.0,
        description="Seconds from SIGTERM, when /readyz turns 503, until no connection is taken",
    )


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; warn of a ``SRCID_*`` variable that is none.

    Args:
        overrides: Values that take precedence over the environment; None means "not given".

    Raises:
        ConfigError: A value that is not possible; the message names the variable.
    """
    _warn_of_unknown()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise ConfigError("; ".join(_sentences(error))) from None
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser()})


def _warn_of_unknown() -> None:
    known = OTHERS | {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            logger.warning("%s is no setting and changes nothing%s", name, meant)


def _sentences(error: ValidationError) -> list[str]:
    return [
        f"{PREFIX}{str(problem['loc'][0]).upper()} is {problem['input']!r}: {problem['msg']}. "
        "Correct it in the environment or on the command line"
        for problem in error.errors()
    ]
