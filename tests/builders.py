"""Small, sound wheels and sdists in memory; the same arguments give the same bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping

from packaging.utils import canonicalize_name
from packaging.version import Version

DATE = (2026, 1, 2, 3, 4, 6)


def make_wheel(
    name: str,
    version: str,
    *,
    requires_python: str | None = None,
    metadata_extra: str = "",
    files: Mapping[str, bytes] | None = None,
    dist_info: Mapping[str, bytes | None] | None = None,
    metadata_version: str = "2.1",
    build: str = "",
    tag: str = "py3-none-any",
) -> tuple[str, bytes]:
    """Return the filename and the bytes of a wheel.

    *metadata_extra* is added to METADATA's headers (whole lines); *files* replaces the default, an empty package;
    *dist_info* adds or replaces files of the .dist-info folder (RECORD too), or leaves them out (``None``).
    """
    stem = _stem(name, version)
    members = dict(files) if files is not None else {f"{_module(name)}/__init__.py": b""}
    inside: dict[str, bytes | None] = {
        "METADATA": metadata(name, version, requires_python, metadata_extra, metadata_version),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: builders\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        **(dist_info or {}),
    }
    members |= {f"{stem}.dist-info/{path}": data for path, data in inside.items() if data is not None}
    if "RECORD" not in inside:
        members[f"{stem}.dist-info/RECORD"] = record(members, f"{stem}.dist-info/RECORD")
    filename = "-".join(filter(None, [stem, build, tag]))
    return f"{filename}.whl", make_zip(members.items())


def make_sdist(
    name: str,
    version: str,
    *,
    requires_python: str | None = None,
    metadata_extra: str = "",
    files: Mapping[str, bytes] | None = None,
    metadata_version: str = "2.2",
) -> tuple[str, bytes]:
    """Return the filename and the bytes of an sdist; *files* lie below its top folder (PKG-INFO may be replaced)."""
    stem = _stem(name, version)
    members = {
        "PKG-INFO": metadata(name, version, requires_python, metadata_extra, metadata_version),
        **(
            files
            if files is not None
            else {
                "pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\n'.encode(),
                f"{_module(name)}/__init__.py": b"",
            }
        ),
    }
    infos = [(file_info(f"{stem}/{path}", data), data) for path, data in members.items()]
    return f"{stem}.tar.gz", make_tar_gz(infos)


def make_provenance(filename: str, sha256: str) -> bytes:
    """Return a provenance document of a file, by a publisher of a kind that nobody knows: no signature is checked."""
    subject = {"name": filename, "digest": {"sha256": sha256}}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": "",
        "predicate": None,
    }
    envelope = {"statement": base64.b64encode(json.dumps(statement).encode()).decode(), "signature": ""}
    attestation = {"version": 1, "verification_material": {}, "envelope": envelope}
    bundle = {"publisher": {"kind": "Example"}, "attestations": [attestation]}
    return json.dumps({"version": 1, "attestation_bundles": [bundle]}).encode() + b"\n"


def metadata(
    name: str, version: str, requires_python: str | None = None, extra: str = "", metadata_version: str = "2.1"
) -> bytes:
    """Return core metadata as the bytes of a METADATA or PKG-INFO file."""
    required = f"Requires-Python: {requires_python}\n" if requires_python is not None else ""
    return f"Metadata-Version: {metadata_version}\nName: {name}\nVersion: {version}\n{required}{extra}".encode()


def record(members: Mapping[str, bytes], own_name: str) -> bytes:
    """Return the RECORD of *members*, which lists itself as *own_name* without a hash."""
    rows = []
    for path, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        quoted = f'"{path}"' if "," in path else path
        rows.append(f"{quoted},sha256={digest},{len(data)}\n")
    return "".join([*rows, f"{own_name},,\n"]).encode()


def make_zip(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """Return a zip of *members* (a name, or a prepared entry) in the order given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, data in members:
            archive.writestr(member if isinstance(member, zipfile.ZipInfo) else zip_info(member), data)
    return buffer.getvalue()


def zip_info(name: str, *, mode: int = 0o100644, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    """Return the entry of a file in a zip."""
    info = zipfile.ZipInfo(name, DATE)
    info.external_attr = mode << 16
    info.compress_type = method
    return info


def make_tar_gz(members: Iterable[tuple[tarfile.TarInfo, bytes]], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a gzipped tar of *members* in the order given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def file_info(path: str, data: bytes = b"") -> tarfile.TarInfo:
    """Return the entry of a file in a tar."""
    info = tarfile.TarInfo(path)
    info.size = len(data)
    return info


def _module(name: str) -> str:
    return canonicalize_name(name).replace("-", "_")


def _stem(name: str, version: str) -> str:
    return f"{_module(name)}-{Version(version)}"
