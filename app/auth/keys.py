"""API keys: a JSON file of their digests in the data directory. Keys themselves are never stored.

A key is ``srcid_`` and 43 characters with 256 random bits. With that much entropy a plain SHA-256
is enough: a slow hash protects secrets that can be guessed.
"""

import fcntl
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import InvalidRequest, NotFound, StoreUnavailable
from model.files import PRIVATE, atomic_write_text, make_folder

FILE = "keys.json"
PREFIX = "srcid_"
NAME = re.compile(r"[\w.@-]{1,64}")


class Scope(StrEnum):
    """What a key may do; each scope includes those listed before it."""

    READ = "read"  # encode, search, read items
    WRITE = "write"  # add, replace and delete items
    ADMIN = "admin"  # jobs, which read folders of the server

    def includes(self, other: "Scope") -> bool:
        """Return whether a key of this scope may do what ``other`` allows."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class Key(BaseModel):
    """A key as stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    scope: Scope
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    last_four: str  # lets people tell keys apart
    created: datetime


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()


class KeyFile:
    """The keys of a data directory. Changes by other processes apply to the next call.

    Methods may be called from any thread and any process.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE
        self._parsed: tuple[bytes | None, tuple[Key, ...]] = (None, ())  # last read file, its keys

    def exists(self) -> bool:
        """Return whether a key was ever created. The file stays when the last key is revoked."""
        return self.path.exists()

    def all(self) -> tuple[Key, ...]:
        """Return the keys, oldest first.

        Raises:
            StoreUnavailable: The file is damaged or cannot be read.
        """
        try:
            # Read each time: size and times may stay the same when a key is replaced.
            data = self.path.read_bytes()
            parsed_data, keys = self._parsed
            if data != parsed_data:
                keys = _Content.model_validate_json(data).keys
                self._parsed = (data, keys)
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "invalid content"
            raise StoreUnavailable(
                f"cannot read the API keys in {self.path} ({reason}): restore the file from a "
                "backup, or delete it and create new keys (srcid keys add)"
            ) from None
        return keys

    def find(self, secret: str) -> Key | None:
        """Return the key of ``secret``, comparing in constant time.

        Raises:
            StoreUnavailable: The file is damaged or cannot be read.
        """
        digest = _digest(secret)
        match = None
        for key in self.all():
            if hmac.compare_digest(key.sha256, digest):
                match = key
        return match

    def add(self, name: str, scope: Scope) -> str:
        """Create a key and return its secret, which is not stored.

        Raises:
            InvalidRequest: The name is taken or invalid.
            StoreUnavailable: The file cannot be read or written.
        """
        if not NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r} is not a valid key name: use 1 to 64 letters, digits and . @ _ -"
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        key = Key(
            name=name,
            scope=scope,
            sha256=_digest(secret),
            last_four=secret[-4:],
            created=datetime.now(UTC).replace(microsecond=0),
        )
        with self._locked():
            keys = self.all()
            if any(existing.name == name for existing in keys):
                raise InvalidRequest(
                    f"there is a key {name!r}: choose another name, or `srcid keys revoke` it first"
                )
            self._write((*keys, key))
        return secret

    def revoke(self, name: str) -> None:
        """Remove a key; a running server rejects it from the next request on.

        Raises:
            NotFound: There is no key of that name.
            StoreUnavailable: The file cannot be read or written.
        """
        with self._locked():
            keys = self.all()
            remaining = tuple(key for key in keys if key.name != name)
            if len(remaining) == len(keys):
                raise NotFound(f"there is no key {name!r}: `srcid keys list` shows all keys")
            self._write(remaining)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from writing between this one's read and write."""
        try:
            make_folder(self.path.parent)
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self.path} ({error.strerror}): choose a folder that this user can "
                "write to (SRCID_DATA_DIR, --data-dir)"
            ) from error

    def _write(self, keys: tuple[Key, ...]) -> None:
        content = _Content(keys=keys).model_dump_json(indent=1)
        atomic_write_text(self.path, content, mode=PRIVATE)


def _digest(secret: str) -> str:
    # A header may hold any bytes, decoded as latin-1: not a key, but not an error either.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
