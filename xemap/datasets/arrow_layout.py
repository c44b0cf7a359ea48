"""What the metadata of an Arrow IPC file says of its batches, read before Arrow allocates anything for them."""

from __future__ import annotations

import struct

import pyarrow as pa

_BATCHES, _BLOCK_BYTES = 3, 24  # in the footer's table
_HEADER = 2  # in a message's
_COMPRESSION = 3  # in a record batch's
_CONTINUATION = b'\xff\xff\xff\xff'


def has_compressed_batch(file: pa.Buffer) -> bool:
    """Whether a batch of an Arrow IPC file is compressed.

    A compressed buffer declares its own size, for which Arrow allocates memory before it looks at the content.

    Args:
        file: all of the file, mapped.

    Raises:
        struct.error: the metadata lead out of the file.
    """
    content = memoryview(file)
    (footer_bytes,) = struct.unpack_from('<i', content, len(content) - 10)  # the last 6 bytes are 'ARROW1'
    blocks = _field(content, _root(content, len(content) - 10 - footer_bytes), _BATCHES)
    if blocks is None:
        return False
    blocks += struct.unpack_from('<I', content, blocks)[0]
    (count,) = struct.unpack_from('<I', content, blocks)
    for i in range(count):
        (start,) = struct.unpack_from('<q', content, blocks + 4 + i * _BLOCK_BYTES)
        start += 8 if content[start : start + 4] == _CONTINUATION else 4
        header = _field(content, _root(content, start), _HEADER)
        if header is not None:
            header += struct.unpack_from('<I', content, header)[0]
            if _field(content, header, _COMPRESSION) is not None:
                return True
    return False


def _root(content: memoryview, start: int) -> int:
    """Position of the table that a flatbuffer begins with."""
    return start + struct.unpack_from('<I', content, start)[0]


def _field(content: memoryview, table: int, number: int) -> int | None:
    """Position of a field of a flatbuffer's table; None where it is absent."""
    fields = table - struct.unpack_from('<i', content, table)[0]
    (size,) = struct.unpack_from('<H', content, fields)
    if 4 + 2 * number >= size:
        return None
    (offset,) = struct.unpack_from('<H', content, fields + 4 + 2 * number)
    return table + offset if offset else None
