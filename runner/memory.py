"""The memory that inference takes and frees: glibc keeps it, 60 MB and more, for each thread.

It is not given back at once, as a low threshold for `mmap` would have it: to take it anew each time
made Whisper take 180 ms instead of 110. Other C libraries have neither `mallopt` nor `malloc_trim`,
and no need of them.
"""

import ctypes

M_ARENA_MAX = -8
"""A parameter of glibc's mallopt, from its malloc.h."""

_libc = ctypes.CDLL(None)


def share_pools() -> None:
    """Have all threads that will be started take their memory from two pools."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(M_ARENA_MAX, 2)


def give_back() -> None:
    """Give what is free back to the system; takes some milliseconds."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
