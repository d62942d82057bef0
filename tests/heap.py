"""How much memory libraries have taken, whatever the system has given and not got back."""

import ctypes
import gc
import re

_libc = ctypes.CDLL(None)

CAN_BE_MEASURED = hasattr(_libc, "malloc_info")
"""Other C libraries than glibc do not tell."""


def taken_bytes() -> int:
    """Return what is taken and not freed, in all pools."""
    gc.collect()
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    _libc.open_memstream.restype = ctypes.c_void_p
    file = ctypes.c_void_p(_libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    _libc.malloc_info(0, file)
    _libc.fclose(file)
    assert text.value
    in_all = text.value.decode().rpartition("</heap>")[2]
    _libc.free(text)
    [system] = re.findall(r'<system type="current" size="(\d+)"', in_all)
    sizes = re.findall(r'<total type="(\w+)" count="\d+" size="(\d+)"', in_all)
    of = {kind: int(it) for kind, it in sizes}
    return int(system) - of["fast"] - of["rest"] + of["mmap"]
