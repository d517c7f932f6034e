"""What is stored is compressed: a payload says the same things over and over.

Strategy: writing costs more than compressing, so the fastest method there is (LZ4, a block by itself) is
used for all that is not tiny, and what does not get smaller is stored as it is. The size of the original
stands beside it, and says which of both it is.
"""

from __future__ import annotations

from typing import NamedTuple

from lz4.block import compress, decompress

#: What is smaller is stored as it is, in bytes.
SMALLEST = 2048


class Packed(NamedTuple):
    """Some bytes, as they are stored.

    :param size: the size of the original, in bytes; None: it is *data*.
    """

    data: bytes
    size: int | None = None

    def unpacked(self) -> bytes:
        """The original.

        :raises lz4.block.LZ4BlockError: it has been damaged.
        """
        if self.size is None:
            return self.data
        original: bytes = decompress(self.data, uncompressed_size=self.size)
        return original


def packed(original: bytes) -> Packed:
    """Compress *original*, when it is worth it."""
    if len(original) >= SMALLEST:
        data = compress(original, store_size=False)
        if len(data) < len(original):
            return Packed(data, len(original))
    return Packed(original)


__all__ = ["SMALLEST", "Packed", "packed"]
