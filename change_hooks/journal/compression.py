"""Compresses what is stored: payloads are repetitive.

Strategy: writing costs more than compressing, so everything that is not tiny is compressed by the fastest
method (LZ4, single blocks); data that does not get smaller is stored as it is. The size of the original is
stored with it, and shows which of the two it is.
"""

from __future__ import annotations

from typing import NamedTuple

from lz4.block import compress, decompress

#: Smaller data is stored uncompressed, in bytes.
SMALLEST = 2048


class Packed(NamedTuple):
    """Bytes in their stored form.

    :param size: the size of the original, in bytes; None: *data* is the original.
    """

    data: bytes
    size: int | None = None

    def unpacked(self) -> bytes:
        """The original.

        :raises lz4.block.LZ4BlockError: the data is damaged.
        """
        if self.size is None:
            return self.data
        original: bytes = decompress(self.data, uncompressed_size=self.size)
        return original


def packed(original: bytes) -> Packed:
    """Compress *original*, if that makes it smaller."""
    if len(original) >= SMALLEST:
        data = compress(original, store_size=False)
        if len(data) < len(original):
            return Packed(data, len(original))
    return Packed(original)


__all__ = ["SMALLEST", "Packed", "packed"]
