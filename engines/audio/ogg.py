"""Where an Ogg file is cut off: libav drops the last page then, and says nothing."""

HEADER_BYTES = 27


class OggPages:
    """Follows the pages of an Ogg file as it comes (RFC 3533, section 6)."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_cut(self) -> bool:
        """Whether the last page lacks something."""
        return bool(self._rest)

    def feed(self, data: bytes) -> None:
        """Look at what comes next; it may be cut anywhere."""
        pages, end = self._rest + data, 0
        while (next_end := _page_end(pages, end)) <= len(pages):
            end = next_end
        self._rest = pages[end:]


def _page_end(pages: bytes, start: int) -> int:
    """Return where a page ends; if not all of its header is there, behind what is."""
    body = start + HEADER_BYTES
    if len(pages) < body:
        return body
    sizes = pages[body : body + pages[body - 1]]
    return body + pages[body - 1] + sum(sizes)
