"""How the C library's allocator treats the large blocks that the network takes and frees."""

import ctypes

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 256 * 2**20  # that a thread may hold beyond what it uses
LARGEST_BYTES = 32 * 2**20  # of one block that is kept; larger ones go back to the system


def keep_freed_memory() -> None:
    """Have each thread use its freed memory again instead of giving it back to the system.

    By default glibc gives back what threads free beyond a few hundred KiB, so that the network
    would fault in all its activations again, page by page, for each item: a quarter of its time
    with two threads. Does nothing where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
