"""Models of the Hugging Face Hub: ``hf:OWNER/NAME[@REVISION]``, or a folder on this machine.

``huggingface_hub`` is imported here only, and only when a model of the Hub is asked for. Its usual
variables apply: ``HF_HOME`` and ``HF_HUB_CACHE`` (where models are cached), ``HF_TOKEN``,
``HF_ENDPOINT`` (a mirror) and ``HF_HUB_OFFLINE``. Nothing is downloaded unless ``download`` is set.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from model.errors import ConfigError
from model.files import sha256

PREFIX = "hf:"
MAIN = "main"
NAME = r"\w(?:[\w.-]{0,94}\w)?"
ID = re.compile(rf"{PREFIX}(?P<repo>{NAME}/{NAME})(?:@(?P<revision>\S+))?", re.ASCII)
# Configurations, vocabularies and the modules of sentence-transformers. Pickles are downloaded only
# where there are no safetensors.
DESCRIPTIONS = ("*.json", "*.txt", "*.model", "README.md")
SAFETENSORS = ("model.safetensors", "model-*-of-*.safetensors")
PICKLES = ("pytorch_model.bin", "pytorch_model-*-of-*.bin")
MODULES = "*_Dense"  # folders of sentence-transformers that hold weights as well
ELSEWHERE = ("onnx/*", "openvino/*")  # the same model for other runtimes


@dataclass(frozen=True)
class Snapshot:
    """The files of one model at one commit."""

    folder: Path
    repo: str | None  # OWNER/NAME; None: a folder of the user
    commit: str | None  # 40 hex digits
    # Of the weights: the file's own digest, or, of several files, that of what `sha256sum` prints
    # about them in the order of their names.
    sha256: str


def is_hub_id(source: str) -> bool:
    """Tell whether ``source`` names a model of the Hub rather than a folder."""
    return source.startswith(PREFIX)


def parse_id(source: str) -> tuple[str, str]:
    """Return repository and revision of ``hf:OWNER/NAME[@REVISION]``.

    Raises:
        ConfigError: It is written otherwise.
    """
    parts = ID.fullmatch(source)
    if parts is None:
        raise ConfigError(
            f"{source!r} is no model of the Hub: write hf:OWNER/NAME, such as "
            "hf:openai/clip-vit-base-patch32, or hf:OWNER/NAME@REVISION for a branch, tag or commit"
        )
    return parts["repo"], parts["revision"] or MAIN


def find_snapshot(source: str, *, commit: str | None = None, download: bool = False) -> Snapshot:
    """Return the files of a model.

    Args:
        source: ``hf:OWNER/NAME[@REVISION]``, or a folder.
        commit: Of the Hub's model: take exactly this one, whatever the revision points to now.
        download: Fetch what is not cached. A cached ``commit`` needs no network even then.

    Raises:
        ConfigError: The model is not on this machine and may not or cannot be downloaded, or it
            holds no weights. The message names the remedy.
    """
    if not is_hub_id(source):
        return _of_folder(Path(source).expanduser())
    repo, revision = parse_id(source)
    revision = commit or revision
    folder = _snapshot(repo, revision, SAFETENSORS, download=download)
    if any(not _named(place, SAFETENSORS) for place in _places(folder)):
        folder = _snapshot(repo, revision, (*SAFETENSORS, *PICKLES), download=download)
    return Snapshot(folder, repo, folder.name, _digest(folder, repo))


def push_folder(folder: Path, repo: str, *, private: bool = False) -> str:
    """Upload the files of a checkpoint as a model of the Hub; return the commit.

    The repository is created if there is none.

    Args:
        folder: Of the checkpoint: configuration, weights, calibration, model card.
        repo: OWNER/NAME.
        private: Whether a new repository is visible to its owner alone.

    Raises:
        ConfigError: The Hub refuses it, or cannot be reached.
    """
    from huggingface_hub import HfApi

    repo, revision = parse_id(f"{PREFIX}{repo}")
    with _in_plain_words(repo, revision):
        api = HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            allow_patterns=["*.json", "*.safetensors", "*.md"],
            ignore_patterns=["*/*"],
        )
    return str(done.oid)


def weight_files(folder: Path) -> list[Path]:
    """Return the files of weights in ``folder`` by name: safetensors, or else pickles."""
    chosen = (_named(place, SAFETENSORS) or _named(place, PICKLES) for place in _places(folder))
    return [path for files in chosen for path in files]


def _places(folder: Path) -> list[Path]:
    return [folder, *sorted(folder.glob(MODULES))]


def _named(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def _of_folder(folder: Path) -> Snapshot:
    if not folder.is_dir():
        raise ConfigError(
            f"there is no folder {str(folder)!r}; a model of the Hub is written hf:OWNER/NAME"
        )
    return Snapshot(folder, None, None, _digest(folder, str(folder)))


def _digest(folder: Path, name: str) -> str:
    files = weight_files(folder)
    if not files:
        raise ConfigError(
            f"{name} holds no weights that can be read: neither model.safetensors (or its shards) "
            "nor pytorch_model.bin; name a model in the format of transformers"
        )
    digests = {path.relative_to(folder).as_posix(): _digest_of_file(path) for path in files}
    if len(digests) == 1:
        return next(iter(digests.values()))
    lines = "".join(f"{digest}  {path}\n" for path, digest in digests.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    about = path.stat()
    return _digest_of(path.resolve(), about.st_size, about.st_mtime_ns)


@cache
def _digest_of(path: Path, size: int, modified: int) -> str:
    """Return the digest of a file as it is now; a model's parts are often one file of gigabytes."""
    del size, modified  # part of the key
    return sha256(path)


def _snapshot(repo: str, revision: str, weights: tuple[str, ...], *, download: bool) -> Path:
    """Return the folder in the Hub's cache; its name is the commit."""
    from huggingface_hub import snapshot_download

    modules = [f"{MODULES}/{pattern}" for pattern in weights]
    with _in_plain_words(repo, revision):
        folder = snapshot_download(
            repo,
            revision=revision,
            allow_patterns=[*DESCRIPTIONS, *weights, *modules],
            ignore_patterns=list(ELSEWHERE),
            local_files_only=not download,
            max_workers=1,  # more close one another's session when the network is gone
        )
    return Path(folder)


@contextmanager
def _in_plain_words(repo: str, revision: str) -> Iterator[None]:
    """Turn each error of the Hub into one sentence with its remedy."""
    import httpx2
    from huggingface_hub import constants, errors

    at = f"{repo} at {revision}"
    page = f"{constants.ENDPOINT}/{repo}"
    fetch = f"`srcid backbone fetch {PREFIX}{repo}{'' if revision == MAIN else f'@{revision}'}`"
    try:
        yield
    except errors.GatedRepoError as error:
        raise ConfigError(
            f"{repo} asks for consent to its terms: accept them on {page}, then set HF_TOKEN to "
            "a token of that account (or run `hf auth login`)"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ConfigError(
            f"{constants.ENDPOINT} has no model {repo}, or it is private: check the name, or set "
            "HF_TOKEN to a token that may read it"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ConfigError(
            f"{repo} has no revision {revision!r}: take a branch, tag or commit of "
            f"{page}/commits/main, or leave out @{revision}"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        if isinstance(error.__cause__, errors.OfflineModeIsEnabled):
            raise ConfigError(
                f"{at} is not on this machine, and HF_HUB_OFFLINE forbids to download it: unset "
                "that variable, or name a folder that holds the model"
            ) from error
        if error.__cause__ is not None:
            raise ConfigError(_unreachable(at, constants.ENDPOINT, error.__cause__)) from error
        part = isinstance(error, errors.IncompleteSnapshotError)
        raise ConfigError(
            f"{at} is {'only in part' if part else 'not'} on this machine: run {fetch} where "
            "there is a network, or name a folder that holds the model"
        ) from error
    except errors.HFValidationError as error:
        raise ConfigError(f"{repo} is no name of a model: {error}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        remedy = "check HF_TOKEN" if status in (401, 403) else "try again later"
        raise ConfigError(f"{constants.ENDPOINT} answered {status} for {at}: {remedy}") from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise ConfigError(_unreachable(at, constants.ENDPOINT, error)) from error
    except (httpx2.HTTPError, errors.FileMetadataError) as error:
        raise ConfigError(
            f"the connection to {constants.ENDPOINT} broke while {at} was transferred ({error}): "
            "run the command again, files that arrived are kept"
        ) from error
    except OSError as error:
        if "onsistency check" in str(error):  # fewer bytes came than were announced
            raise ConfigError(f"{at} arrived incomplete: run the command again") from error
        raise ConfigError(
            f"{at} cannot be kept in {constants.HF_HUB_CACHE} ({error.strerror or error}): make "
            "room there, or name another folder by HF_HUB_CACHE"
        ) from error


def _unreachable(at: str, endpoint: str, error: BaseException) -> str:
    return (
        f"{at} is not on this machine, and {endpoint} cannot be reached ({error}): check the "
        "network, name a mirror by HF_ENDPOINT, or name a folder that holds the model"
    )
