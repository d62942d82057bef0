"""What libav has to be told for the whole process, and PyAV does not pass on."""

import ctypes

from av.container import core

MAX_ALLOCATION_BYTES = 1 << 26


def bound_libav() -> None:
    """Have libav take no more memory at once than sound needs, and no thread for each core.

    An MP4 of 1 kB can ask for 4 GB of index. And PyAV gives each encoder a graph of filters, which
    starts as many threads as there are cores, and lets them wait.
    """
    libav = ctypes.CDLL(core.__file__)
    libav.av_max_alloc(ctypes.c_size_t(MAX_ALLOCATION_BYTES))
    libav.av_cpu_force_count(ctypes.c_int(1))
