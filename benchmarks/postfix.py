"""The reference: Postfix (Debian package) relaying the same octets from smtp-source to smtp-sink, by plain SMTP.

A private instance below a temporary directory; the system's own Postfix is not touched.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from demail_gateway.embedded.ports import free_port

DAEMONS = Path("/usr/lib/postfix/sbin")
WAIT_S = 120.0
_TAIL_BYTES = 4096


class SinkMissing(Exception):
    """Postfix is not installed; `./run bench` says how to get it."""


def require() -> None:
    missing = [name for name in ("postfix", "smtp-sink", "smtp-source") if _program(name) is None]
    if missing:
        raise SinkMissing(", ".join(missing))


class Sink:
    """smtp-sink on a free port; counts the messages whose final dot it has seen."""

    def __init__(self) -> None:
        self.port = free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self._process = subprocess.Popen(
            [_need("smtp-sink"), "-c", "-u", "postfix", f"127.0.0.1:{self.port}", "1000"]
            if os.geteuid() == 0
            else [_need("smtp-sink"), "-c", f"127.0.0.1:{self.port}", "1000"],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _wait_for_port(self.port)

    def count(self) -> int:
        """Messages received so far; smtp-sink prints its counters as ``sess=… quit=… mesg=…``."""
        # the end alone, because reading all of it each time would cost more than the messages; and without moving the
        # place in the file, which the sink shares
        log = self._log.fileno()
        end = os.pread(log, _TAIL_BYTES, max(0, os.fstat(log).st_size - _TAIL_BYTES))
        return max((int(n) for n in re.findall(rb"mesg=(\d+)[^\d]", end)), default=0)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)
        self._log.close()


class Postfix:
    """A relay of its own, set to be fast: cached connections, no throttles, 20 parallel deliveries."""

    def __init__(self, sink_port: int) -> None:
        self.port = free_port()
        self._base = Path(tempfile.mkdtemp(prefix="demail-postfix-"))
        self._base.chmod(0o755)
        self._config, self._queue, self._data = (self._base / name for name in ("etc", "queue", "data"))
        self._write(sink_port)
        _quiet("postfix", "-c", self._config, "start")
        _wait_for_port(self.port)

    def relay(self, octets_file: Path, messages: int, sessions: int) -> float:
        """Seconds from the first octet until the queue is empty again."""
        begin = time.perf_counter()
        subprocess.run(
            [
                _need("smtp-source"), "-s", str(sessions), "-m", str(messages), "-d", "-F", str(octets_file),
                "-f", "poststelle@stadt-elbtal.de-mail.de", "-t", "normal@sandbox.de-mail.de", f"127.0.0.1:{self.port}",
            ],
            check=True,
            capture_output=True,
            timeout=WAIT_S,
        )  # fmt: skip
        self._until_empty(begin + WAIT_S)
        return time.perf_counter() - begin

    def stop(self) -> None:
        _quiet("postfix", "-c", self._config, "stop")
        shutil.rmtree(self._base, ignore_errors=True)

    def _until_empty(self, deadline: float) -> None:
        while any(self._waiting()):
            if time.perf_counter() > deadline:
                raise TimeoutError("the reference did not empty its queue")
            time.sleep(0.005)

    def _waiting(self) -> list[Path]:
        return [
            f
            for name in ("maildrop", "incoming", "active", "deferred")
            for f in (self._queue / name).rglob("*")
            if f.is_file()
        ]

    def _write(self, sink_port: int) -> None:
        for directory in (self._config, self._queue, self._data):
            directory.mkdir()
        owner = pwd.getpwnam("postfix")
        os.chown(self._data, owner.pw_uid, owner.pw_gid)
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": self._queue,
            "data_directory": self._data,
            "daemon_directory": DAEMONS,
            "command_directory": "/usr/sbin",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "reference.example",
            "mydestination": "",
            "local_recipient_maps": "",
            "mynetworks": "127.0.0.0/8",
            "relayhost": f"[127.0.0.1]:{sink_port}",
            "smtp_destination_concurrency_limit": 20,
            "default_destination_concurrency_limit": 20,
            "initial_destination_concurrency": 20,
            "smtp_connection_cache_on_demand": "yes",
            "smtp_connection_cache_destinations": f"[127.0.0.1]:{sink_port}",
            "in_flow_delay": 0,
            "smtpd_client_connection_count_limit": 0,
            "smtpd_client_connection_rate_limit": 0,
            "smtpd_client_message_rate_limit": 0,
            "smtpd_tls_security_level": "none",
            "smtp_tls_security_level": "none",
            "smtp_host_lookup": "native",
            "maillog_file": self._base / "postfix.log",
            "maillog_file_prefixes": "/tmp, /var",
        }
        (self._config / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
        master = (Path("/usr/share/postfix/master.cf.dist")).read_text()
        master = re.sub(r"^smtp(\s+)inet(.*)$", rf"127.0.0.1:{self.port}\1inet\2", master, count=1, flags=re.MULTILINE)
        master = re.sub(
            r"^(\S+\s+(?:inet|unix|unix-dgram|pass)\s+\S+\s+\S+\s+)y(\s)", r"\1n\2", master, flags=re.MULTILINE
        )
        (self._config / "master.cf").write_text(master)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _need(name: str) -> str:
    if (path := _program(name)) is None:
        raise SinkMissing(name)
    return path


def _quiet(name: str, *words: object) -> None:
    done = subprocess.run([_need(name), *map(str, words)], capture_output=True, text=True, timeout=WAIT_S)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
