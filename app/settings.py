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
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from model.errors import ConfigError, message_of

logger = logging.getLogger(__name__)

PREFIX = "SRCID_"
# Read elsewhere: by commands that call a server, and by backbones with user-provided weights.
OTHER_VARIABLES = {"SRCID_URL", "SRCID_API_KEY", "SRCID_VGG19", "SRCID_VGGISH", "SRCID_BERT"}
IndexKind = Literal["auto", "codes", "ivf"]
REMOVED_INDEXES = ("postings", "flat", "hnsw")


class Settings(BaseSettings):
    """Settings of the service. ``SRCID_PORT=8001`` in the environment sets ``port``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one")
    workers: PositiveInt = Field(
        1, description="Server processes: one writes, the others only read"
    )
    data_dir: Path = Field(
        Path("~/.srcid"), description="Folder of the index; created when first needed"
    )
    store_url: str | None = Field(
        None,
        pattern=r"^(https?://\S+|\S+\.db)$",
        description="Milvus server that replaces the folder: http://host:19530 (needs "
        "`pip install 'srcid[cluster]'`)",
    )
    store_collection: str = Field(
        "srcid",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$",
        description="Name of the collection in Milvus",
    )
    store_token: SecretStr | None = Field(
        None, description="Milvus credentials: user:password, or an API key"
    )
    checkpoint: str = Field(
        "default",
        min_length=1,
        description="Name of a shipped checkpoint, a folder, or OWNER/NAME of the Hugging Face Hub "
        "(downloaded before with `srcid backbone fetch`)",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Device of the network and of the code search: cpu, cuda, cuda:1, or auto (a "
        "GPU if any)",
    )
    allow_anonymous: bool = Field(
        False, description="Accept requests without an API key, on any address"
    )
    max_requests_per_minute: NonNegativeInt = Field(
        0, description="Maximum requests per minute for each API key; 0 is no limit"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Format of the log on stderr: text, or json (one object per line)"
    )
    tracing: bool = Field(
        False, description="Send OpenTelemetry traces (needs `pip install 'srcid[tracing]'`)"
    )
    keep_media: bool = Field(
        False, description="Keep the media of added items, for GET /items/{id}/media"
    )
    media_root: Path | None = Field(
        None, description="Folder that POST /jobs/index may read; without it there are no jobs"
    )
    cors_origins: tuple[str, ...] = Field(
        (), description='Web origins that may call, as JSON: ["https://example.org"]; ["*"] is all'
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Host names, as JSON, accepted in requests without a key, besides localhost "
        'and IP addresses: ["srcid.lan"]; ["*"] is any',
    )
    root_path: str = Field(
        "", pattern=r"^(/[^/?#]+)*$", description="Path prefix that a proxy strips, such as /srcid"
    )
    index: IndexKind = Field(
        "auto",
        description="Search index: codes (exact), ivf (inverted lists: approximate, faster), or "
        "auto (exact up to 250,000 streams of a modality, then lists)",
    )
    index_probes: PositiveInt = Field(
        48,
        description="Inverted lists that a search reads; more find more of the best streams and "
        "take longer",
    )
    max_live: PositiveInt = Field(8, description="Maximum concurrent /live streams")
    max_upload_bytes: PositiveInt = Field(64 * 2**20, description="Maximum bytes of a request body")
    max_text_characters: PositiveInt = Field(2000, description="Maximum characters of a sentence")
    max_metadata_bytes: PositiveInt = Field(
        2**16, description="Maximum bytes of an item's metadata"
    )
    max_media_bytes: PositiveInt = Field(
        2**31, description="Maximum bytes of a media file read from disk"
    )
    max_media_seconds: PositiveInt = Field(
        3600, description="Maximum duration of accepted media, in seconds"
    )
    max_steps: PositiveInt = Field(
        60,
        description="Maximum seconds of media encoded per request; `srcid index` and jobs split "
        "longer media into several items",
    )
    max_decodes: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="Media files decoded at the same time; default: number of processors",
    )
    max_decode_seconds: PositiveInt = Field(
        30,
        description="Maximum seconds to decode one small media file; a MiB adds one, up to ten for "
        "each second that is decoded",
    )
    max_decode_memory_bytes: PositiveInt = Field(
        2**31, description="Maximum bytes of memory to decode one media file"
    )
    decode_sandbox: Literal["auto", "required"] = Field(
        "auto",
        description="Confine decode workers by Landlock and seccomp: auto (by those that the "
        "kernel has), or required (do not start without both)",
    )
    network_threads: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="Threads of the network on a CPU, one item each; default: number of processors",
    )
    max_batch: PositiveInt = Field(
        16,
        description="Maximum batch size on a GPU; on a CPU, maximum items that a thread encodes "
        "one by one and answers together",
    )
    max_gpu_memory_bytes: PositiveInt | None = Field(
        None,
        description="Maximum bytes of GPU memory for networks and batches; a batch that does not "
        "fit is halved. Default: all",
    )
    max_run_seconds: PositiveInt = Field(
        60, description="Seconds after which a late batch counts as hanging"
    )
    max_queue: PositiveInt = Field(
        128,
        description="Maximum queued media files, and as many sentences; more are rejected with 503",
    )
    max_inflight_bytes: PositiveInt = Field(
        2**29,
        description="Maximum bytes of all request bodies in flight; more are rejected with 503",
    )
    drain_seconds: NonNegativeFloat = Field(
        1.0,
        description="Seconds from SIGTERM, when /readyz turns 503, until connections are rejected",
    )

    @field_validator("index", mode="before")
    @classmethod
    def _is_no_removed_index(cls, value: object) -> object:
        if value in REMOVED_INDEXES:
            raise PydanticCustomError("removed", "this index was removed, use auto, codes or ivf")
        return value


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; warn about unknown ``SRCID_*`` variables.

    Args:
        overrides: Values that take precedence over the environment; None means "not given".

    Raises:
        ConfigError: A value is invalid; the message names the variable.
    """
    _warn_about_unknown_variables()
    values = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_messages(error))) from None
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser()})


def _warn_about_unknown_variables() -> None:
    variables = OTHER_VARIABLES | {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in variables:
            similar = difflib.get_close_matches(name, variables, n=1)
            hint = f": did you mean {similar[0]}?" if similar else ""
            logger.warning("unknown setting %s, ignored%s", name, hint)


def _messages(error: ValidationError) -> list[str]:
    return [
        f"{PREFIX}{str(problem['loc'][0]).upper()} is {problem['input']!r}: {message_of(problem)}. "
        "Correct it in the environment or on the command line"
        for problem in error.errors()
    ]
