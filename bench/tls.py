"""Idle polls over mutual TLS with connections kept: our VTN, openleadr's, and the floor of the stack.

The servers are those of `bench.poll`, with certificates of RSA-2048. `wrk` can't show a certificate, so the load is
our own (`bench.load`).
"""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.load import Load, Server, post, repeat
from bench.measure import Row
from bench.poll import PACKAGES, PATH, POLL, ROUNDS, SECONDS, SERVERS, compared
from pyopenadr.cli.authority import Authority

__all__ = ["PACKAGES", "certificates", "run"]


def certificates(folder: Path, family: str = "RSA") -> ssl.SSLContext:
    """Write what VTN, VEN and authority need into the folder; what the VEN connects with."""
    now = datetime.now(UTC).replace(microsecond=0)
    authority = Authority(
        "RSA" if family == "RSA" else "EC", start=now - timedelta(days=1), end=now + timedelta(days=1)
    )
    (folder / "ca.pem").write_bytes(authority.own.certificate_pem)
    for name, hosts in (("vtn", ["localhost"]), ("ven", [])):
        issued = authority.issue(name, hosts=hosts, unit=name.upper())
        (folder / f"{name}.pem").write_bytes(issued.certificate_pem)
        (folder / f"{name}.key").write_bytes(issued.key_pem)
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "ven.pem", folder / "ven.key")
    return context


def run() -> list[Row]:
    """Measure in turns."""
    loads: dict[str, list[Load]] = {name: [] for name in SERVERS}
    with tempfile.TemporaryDirectory() as folder:
        context = certificates(Path(folder))
        for _ in range(ROUNDS):
            for name, measured in loads.items():
                with Server("bench.poll", name, folder) as server:
                    server.load(repeat(post(PATH, POLL)), seconds=0.5, context=context)  # it knows everybody now
                    measured.append(server.load(repeat(post(PATH, POLL)), seconds=SECONDS, context=context))
    return [compared("idle poll, mutual TLS", loads, target=4, floor_target=0.75)]
