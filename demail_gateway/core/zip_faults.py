"""What the standard library raises over ZIP archives that are damaged, hostile, encrypted or of an unknown method."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

ZIP_FAULTS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,  # a version, flag or method that zipfile does not know
    RuntimeError,  # encrypted
    struct.error,  # a field of its directory is cut short
    OverflowError,  # a member that lies beyond all files
    ValueError,
    EOFError,
    OSError,
)
