from __future__ import annotations

import platform
import subprocess
import sys

_PROGRAM = """
import resource
from demail_gateway.bootstrap.memory import keep_freed_memory

def message():
    blocks = [bytes([number]) * 80_000 for number in range(25)]
    return b"".join(blocks)

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        message()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20

message(), message()
print(keep_freed_memory())
message()
print(faults())
"""


def test_memory_of_one_message_serves_the_next() -> None:
    """2 MiB in blocks and joined are a thousand pages: hardly one of them is taken anew."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    assert kept == str(platform.libc_ver()[0] == "glibc")
    assert kept == "False" or float(faults) < 10
