"""What a header declares, checked before anything is read: no more than allowed, no more than the file can hold."""

from __future__ import annotations

from xemap.errors import DataError

WHOLE_PIXELS = 1 << 28
"""Pixels of an image that can only be decoded as a whole (JPEG, PNG, …)."""

WINDOW_PIXELS = 1 << 36
"""Pixels of an image that is read by windows (TIFF and its kin)."""

BLOCK_BYTES = 1 << 30
"""Bytes of a block (tile or strip), which is decoded as a whole."""

EXPANSION = {'none': 1, 'packbits': 64, 'deflate': 1032, 'zip': 1032, 'lzw': 1400}
"""Bytes that a byte of a file can become, by compression; of others nothing is known."""

_SLACK = 1 << 20
"""Small files that declare a little too much are left to the decoder, which says what is missing."""


def check_pixels(name: str, size: tuple[int, int], limit: int, whole: bool) -> None:
    """Refuse an image of more pixels than allowed.

    Args:
        name: for the message.
        size: (height, width) that the header declares.
        limit: pixels.
        whole: it can only be decoded as a whole.

    Raises:
        DataError: it is larger.
    """
    if size[0] * size[1] > limit:
        other = 'convert it to a tiled TIFF (gdal_translate -co TILED=YES), read by windows, or ' if whole else ''
        raise DataError(
            f'{name} declares {size[1]} x {size[0]} pixels, more than the {limit / 1e6:.0f} million allowed; '
            f'{other}raise the limit (--max-pixels of tools/infer.py) if it is what it claims to be'
        )


def check_content(name: str, declared: int, stored: int, compression: str) -> None:
    """Refuse a file that is too small for the pixels that its header declares.

    Args:
        declared: bytes of the decoded pixels.
        stored: bytes of the file.
        compression: a key of :data:`EXPANSION`; unknown ones are not checked.

    Raises:
        DataError: even the best compression could not hold them.
    """
    if not fits(declared, stored, compression):
        raise DataError(
            f'{name} declares {declared / 1e6:.0f} MB of pixels, which its {stored / 1e6:.3f} MB ({compression}) '
            'cannot hold; it is truncated or no real image, copy it again'
        )


def fits(declared: int, stored: int, compression: str) -> bool:
    """Whether so many stored bytes can become the declared ones; arguments as of :func:`check_content`."""
    expansion = EXPANSION.get(compression.lower())
    return expansion is None or declared <= stored * expansion + _SLACK
