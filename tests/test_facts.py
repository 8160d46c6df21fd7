"""What is read from wheels and sdists, and that nothing unsound or hostile passes or breaks the reader."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from gitindex.errors import DistributionError
from gitindex.facts import CoreFacts, Distribution, archive, read_core_facts, read_distribution
from tests.builders import file_info, make_sdist, make_tar_gz, make_wheel, make_zip, metadata, record, zip_info

WHEEL = "demo-1.0-py3-none-any.whl"
SDIST = "demo-1.0.tar.gz"
INFO = "demo-1.0.dist-info"
PKG_INFO = metadata("demo", "1.0", metadata_version="2.2")


def read(file: tuple[str, bytes]) -> Distribution:
    return read_distribution(file[0], io.BytesIO(file[1]))


def refusal(file: tuple[str, bytes]) -> str:
    """Return the one line that refuses a file."""
    with pytest.raises(DistributionError) as caught:
        read(file)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(file[0])
    return message


def wheel_of(members: list[tuple[str | zipfile.ZipInfo, bytes]], **info: bytes) -> tuple[str, bytes]:
    """Return demo 1.0 with these members, recorded, written in that order before its .dist-info folder."""
    inside = {"METADATA": metadata("demo", "1.0"), "WHEEL": b"Wheel-Version: 1.0\n", **info}
    named = [(f"{INFO}/{name}", data) for name, data in inside.items()]
    plain = {m if isinstance(m, str) else m.filename: data for m, data in [*members, *named]}
    recorded = record({name: data for name, data in plain.items() if not name.endswith("/")}, f"{INFO}/RECORD")
    return WHEEL, make_zip([*members, *named, (f"{INFO}/RECORD", recorded)])


def sdist_of(*members: tuple[tarfile.TarInfo, bytes]) -> tuple[str, bytes]:
    return SDIST, make_tar_gz([(file_info("demo-1.0/PKG-INFO", PKG_INFO), PKG_INFO), *members])


def special(name: str, kind: bytes, target: str = "", size: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info, bytes(size)


def patched(file: tuple[str, bytes], old: bytes, new: bytes, count: int = -1) -> tuple[str, bytes]:
    assert old in file[1]
    return file[0], file[1].replace(old, new, count)


# What is read


def test_point_77_facts_of_a_wheel_are_those_of_its_metadata_and_its_bytes() -> None:
    filename, data = make_wheel("Demo.Thing", "1.0.0", requires_python=">=3.8", build="1")
    assert read((filename, data)) == Distribution(
        filename="demo_thing-1.0.0-1-py3-none-any.whl",
        kind="wheel",
        project="demo-thing",  # type: ignore[arg-type]
        name="Demo.Thing",
        version="1.0.0",
        requires_python=">=3.8",
        metadata=b"Metadata-Version: 2.1\nName: Demo.Thing\nVersion: 1.0.0\nRequires-Python: >=3.8\n",
        sha256=hashlib.sha256(data).hexdigest(),  # type: ignore[arg-type]
        size=len(data),
    )


def test_point_77_facts_of_an_sdist_are_those_of_its_metadata_and_its_bytes() -> None:
    filename, data = make_sdist("demo", "2.0rc1", requires_python=">=3.11,<4")
    found = read((filename, data))
    assert (found.filename, found.kind, found.version) == ("demo-2.0rc1.tar.gz", "sdist", "2.0rc1")
    assert (found.requires_python, found.size) == (">=3.11,<4", len(data))
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.metadata == metadata("demo", "2.0rc1", ">=3.11,<4", metadata_version="2.2")


def test_the_builders_give_the_same_bytes_for_the_same_arguments() -> None:
    assert make_wheel("demo", "1.0") == make_wheel("demo", "1.0")
    assert make_sdist("demo", "1.0") == make_sdist("demo", "1.0")


def test_a_local_version_and_a_plain_linux_platform_are_welcome() -> None:
    found = read(make_wheel("demo", "1.0+ubuntu.1", tag="cp311-cp311-linux_x86_64"))
    assert found.version == "1.0+ubuntu.1"
    assert found.filename.startswith("demo-1.0+ubuntu.1-cp311")


def test_what_real_build_tools_make_is_sound(tmp_path: Path) -> None:
    (tmp_path / "demo_thing").mkdir()
    (tmp_path / "demo_thing" / "__init__.py").write_text("")
    (tmp_path / "LICENSE").write_text("Do what you want.")
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "Demo.Thing"\nversion = "1.0"\nlicense = "MIT"\nlicense-files = ["LICENSE"]\n'
        'scripts.demo = "demo_thing:main"\n'
    )
    subprocess.run([sys.executable, "-m", "build", "--no-isolation"], cwd=tmp_path, check=True, capture_output=True)
    found = [read((path.name, path.read_bytes())) for path in sorted((tmp_path / "dist").iterdir())]
    assert [(f.kind, f.name, f.version) for f in found] == [
        ("wheel", "Demo.Thing", "1.0"),
        ("sdist", "Demo.Thing", "1.0"),
    ]


def test_core_facts_of_a_sound_file_are_those_of_the_distribution() -> None:
    for filename, data in (make_wheel("Demo", "1.0", requires_python=">=3.8"), make_sdist("Demo", "1.0")):
        found = read((filename, data))
        assert read_core_facts(filename, io.BytesIO(data)) == CoreFacts(
            "Demo", "1.0", found.requires_python, found.metadata
        )


def test_core_facts_are_read_of_an_old_wheel_that_upload_refuses() -> None:
    data = make_zip([("Demo_Old-1.0.dist-info/METADATA", b"Metadata-Version: 1.0\nName: Demo.Old\nVersion: 1.0\n")])
    assert read_core_facts("Demo_Old-1.0-py2.py3-none-any.whl", io.BytesIO(data)).name == "Demo.Old"


def test_core_facts_are_read_of_a_zip_sdist() -> None:
    data = make_zip([("Demo-1.0/setup.py", b""), ("Demo-1.0/PKG-INFO", b"Name: Demo\nVersion: 1.0\n")])
    assert read_core_facts("Demo-1.0.zip", io.BytesIO(data))[:3] == ("Demo", "1.0", None)


@pytest.mark.parametrize(
    ("filename", "data"),
    [
        (WHEEL, make_zip([("demo/__init__.py", b"")])),
        (WHEEL, make_zip([("a.dist-info/METADATA", PKG_INFO), ("b.dist-info/METADATA", PKG_INFO)])),
        (WHEEL, make_zip([(f"{INFO}/METADATA", b"Name: demo\n")])),
        (WHEEL, make_zip([(f"{INFO}/METADATA", b"Name: demo\nName: other\nVersion: 1.0\n")])),
        (WHEEL, make_zip([(zip_info(f"{INFO}/METADATA", method=zipfile.ZIP_BZIP2), PKG_INFO)])),
        (WHEEL, b""),
        (SDIST, b""),
        (SDIST, make_tar_gz([])),
        (SDIST, make_tar_gz([special("demo-1.0/PKG-INFO", tarfile.SYMTYPE, "/etc/passwd")])),
        ("demo.txt", b""),
    ],
)
def test_core_facts_of_a_file_without_clear_metadata_are_an_error(filename: str, data: bytes) -> None:
    with pytest.raises(DistributionError):
        read_core_facts(filename, io.BytesIO(data))


# Names


@pytest.mark.parametrize(
    "filename",
    [
        "demo-1.0.exe", "demo-1.0.tgz", "demo-1.0.tar.bz2", "demo-1.0.egg", "demo.whl", "demo-1.0-py3-none.whl",
        "demo__x-1.0-py3-none-any.whl", "demo-1.0-build-py3-none-any.whl", "demo-1.0_1-py3-none-any.whl",
        "../demo-1.0.tar.gz", "a/demo-1.0.tar.gz", "demo-1.0\x00.tar.gz", "demo-1.0\n.tar.gz", "démo-1.0.tar.gz", "",
        "_demo-1.0-py3-none-any.whl", "x" * 300 + "-1.0.tar.gz", "demo-1.0-py3-none-any.WHL",
    ],
)  # fmt: skip
def test_point_72_a_name_of_no_wheel_or_sdist_is_refused(filename: str) -> None:
    with pytest.raises(DistributionError, match="not the name of a wheel or an sdist") as caught:
        read_distribution(filename, io.BytesIO(make_sdist("demo", "1.0")[1]))
    assert str(caught.value).isprintable()


def test_point_72_a_wheel_variant_is_called_that() -> None:
    assert "variant (PEP 825" in refusal(("demo-1.0-py3-none-any-x86_64_v3.whl", b""))


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("Demo.Thing-1.0-py3-none-any.whl", "demo_thing-1.0-py3-none-any.whl"),
        ("demo_thing-v1.0-1-py3-none-any.whl", "demo_thing-1.0-1-py3-none-any.whl"),
        ("demo-thing-1.0.tar.gz", "demo_thing-1.0.tar.gz"),
        ("Demo_Thing-1.0.tar.gz", "demo_thing-1.0.tar.gz"),
        ("demo_thing-1.0c1.tar.gz", "demo_thing-1.0rc1.tar.gz"),
        ("demo_thing-1.0+Ubuntu_1.tar.gz", "demo_thing-1.0+ubuntu.1.tar.gz"),
    ],
)
def test_point_73_a_name_out_of_normal_form_is_refused_with_the_right_one(filename: str, expected: str) -> None:
    assert refusal((filename, b"")).endswith(f"the name should be {expected}")


def test_point_73_a_zip_sdist_is_refused() -> None:
    assert "build it as .tar.gz" in refusal(("demo-1.0.zip", b""))


def test_point_73_trailing_zeros_in_the_name_alone_are_refused_with_the_right_name() -> None:
    _, data = make_wheel("demo", "1.0.0")
    assert "dist-info" in refusal((WHEEL, data))
    renamed = make_wheel("demo", "1.0", dist_info={"METADATA": metadata("demo", "1.0.0")})
    assert refusal(renamed).endswith("the name should be demo-1.0.0-py3-none-any.whl")


@pytest.mark.parametrize("make", [make_wheel, make_sdist])
def test_points_72_and_78_metadata_of_another_project_or_version_is_refused(
    make: Callable[..., tuple[str, bytes]],
) -> None:
    def with_metadata(name: str, version: str) -> tuple[str, bytes]:
        data = metadata(name, version, metadata_version="2.2")
        if make is make_wheel:
            return make_wheel("demo", "1.0", dist_info={"METADATA": data})
        return make_sdist("demo", "1.0", files={"PKG-INFO": data})

    assert read(with_metadata("DEMO", "1.0")).name == "DEMO"
    assert "names the project other" in refusal(with_metadata("other", "1.0"))
    assert "version 1.1" in refusal(with_metadata("demo", "1.1"))


# Metadata


def of_metadata(data: bytes) -> tuple[str, bytes]:
    return make_wheel("demo", "1.0", dist_info={"METADATA": data})


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.99"])
def test_point_78_metadata_of_major_versions_1_and_2_is_accepted(version: str) -> None:
    assert read(make_wheel("demo", "1.0", metadata_version=version)).version == "1.0"


@pytest.mark.parametrize("version", ["3.0", "0.9", "2", "", "x.y", "2.1.1", "99999.0", "\u0662.\u0661"])
def test_point_78_metadata_of_another_major_version_is_refused(version: str) -> None:
    assert "etadata" in refusal(make_wheel("demo", "1.0", metadata_version=version))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Name: demo\nVersion: 1.0\n",
        b"Metadata-Version: 2.1\nVersion: 1.0\n",
        b"Metadata-Version: 2.1\nName: demo\n",
        b"Metadata-Version: 2.1\nName: -demo\nVersion: 1.0\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: one\n",
        b"Metadata-Version: 2.1\nName: demo\nName: demo\nVersion: 1.0\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nVersion: 2.0\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nSummary: \xff\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\n\xff\xfe description",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nSummary: one\n  two\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: >=1\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nProvides-Extra: a b\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nDescription-Content-Type: text/html\n",
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nProject-URL: A, x\nProject-URL: A, y\n",
        b"Content-Type: multipart/mixed; boundary=x\nMetadata-Version: 2.1\nName: demo\nVersion: 1.0\n\n--x\n\n--x--\n",
        PKG_INFO + b"Description: " + b"x" * archive.MAX_METADATA,
    ],
)
def test_point_78_metadata_that_the_specification_refuses_is_refused(data: bytes) -> None:
    assert "etadata" in refusal(of_metadata(data)).replace("METADATA", "metadata")


@pytest.mark.parametrize("specifiers", [">=3.8", ">=3.8, <4", "!=3.0.*,>=2.7", "~=3.9", "===3.9"])
def test_point_79_requires_python_is_kept_as_the_file_spells_it(specifiers: str) -> None:
    assert read(make_wheel("demo", "1.0", requires_python=specifiers)).requires_python == specifiers


@pytest.mark.parametrize("specifiers", ["3.8", ">=3.8.*", ">= three", ">=3.8 <4", ">=3.8,\n <4"])
def test_point_79_an_invalid_requires_python_is_refused(specifiers: str) -> None:
    assert "equires" in refusal(make_wheel("demo", "1.0", requires_python=specifiers))


def test_an_empty_requires_python_is_none() -> None:
    assert read(make_wheel("demo", "1.0", requires_python="")).requires_python is None


def licensed(extra: str, *paths: str, metadata_version: str = "2.4") -> list[tuple[str, bytes]]:
    """Return a wheel and an sdist with this metadata and these license files."""
    info: dict[str, bytes | None] = {f"licenses/{path}": b"text" for path in paths}
    return [
        make_wheel("demo", "1.0", metadata_extra=extra, metadata_version=metadata_version, dist_info=info),
        make_sdist(
            "demo",
            "1.0",
            metadata_extra=extra,
            metadata_version=metadata_version,
            files=dict.fromkeys(paths, b"text"),
        ),
    ]


def test_point_80_a_license_expression_with_its_files_is_accepted() -> None:
    extra = "License-Expression: MIT OR Apache-2.0\nLicense-File: LICENSE\nLicense-File: doc/NOTICE\n"
    assert [read(file).kind for file in licensed(extra, "LICENSE", "doc/NOTICE")] == ["wheel", "sdist"]


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("License-Expression: Mit Licence\n", "license-expression"),
        ("License-Expression: MIT\nLicense: MIT\n", "both License and License-Expression"),
        ("License-File: LICENSE\n", "which its License-File field names"),
        ("License-File: ../LICENSE\n", "license-file"),
        ("License-File: /LICENSE\n", "license-file"),
        ("License-File: LICEN*\n", "license-file"),
    ],
)
def test_point_80_license_fields_that_are_wrong_are_refused(extra: str, problem: str) -> None:
    for file in licensed(extra):
        assert problem in refusal(file)


def test_point_80_license_files_before_2_4_mean_nothing() -> None:
    for file in licensed("License-File: LICENSE\nLicense: MIT\n", metadata_version="2.1"):
        assert read(file).version == "1.0"


@pytest.mark.parametrize(
    "extra",
    [
        "Import-Name: demo\nImport-Name: demo._x ; private\nImport-Namespace: space\n",
        "Import-Name:\n",
        "Dynamic: License\nDynamic: requires-dist\n",
        "Some-Later-Field: x\n",
    ],
)
def test_point_81_import_names_and_dynamic_fields_are_accepted(extra: str) -> None:
    assert read(make_wheel("demo", "1.0", metadata_extra=extra, metadata_version="2.6")).version == "1.0"


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("Import-Name: 1demo\n", "import-name"),
        ("Import-Name: demo; public\n", "import-name"),
        ("Import-Name: class\n", "import-name"),
        ("Import-Namespace: a-b\n", "import-namespace"),
        ("Import-Name: demo ; private\nImport-Namespace: demo\n", "as Import-Name and as Import-Namespace"),
        ("Dynamic: Name\n", "dynamic"),
        ("Dynamic: Version\n", "dynamic"),
        ("Dynamic: Metadata-Version\n", "dynamic"),
        ("Dynamic: Nothing\n", "dynamic"),
    ],
)
def test_point_81_import_names_and_dynamic_fields_that_are_wrong_are_refused(extra: str, problem: str) -> None:
    assert problem in refusal(make_wheel("demo", "1.0", metadata_extra=extra, metadata_version="2.5"))


# Wheels


@pytest.mark.parametrize("name", ["METADATA", "WHEEL"])
def test_point_82_a_wheel_without_a_file_of_its_dist_info_is_refused(name: str) -> None:
    assert f"has no {INFO}/{name}" in refusal(make_wheel("demo", "1.0", dist_info={name: None}))


def test_point_82_a_wheel_without_record_is_refused() -> None:
    members = [(f"{INFO}/METADATA", metadata("demo", "1.0")), (f"{INFO}/WHEEL", b"Wheel-Version: 1.0\n")]
    assert f"has no {INFO}/RECORD" in refusal((WHEEL, make_zip(members)))


@pytest.mark.parametrize("folder", ["demp-1.0.dist-info", "Demo-1.0.dist-info", "demo-1.0.DIST-INFO"])
def test_point_82_a_dist_info_folder_of_another_name_is_refused(folder: str) -> None:
    _, data = make_wheel("demo", "1.0")
    assert f"must have one .dist-info folder, {INFO}" in refusal((WHEEL, data.replace(INFO.encode(), folder.encode())))


def test_point_82_two_dist_info_folders_are_refused() -> None:
    assert "must have one" in refusal(make_wheel("demo", "1.0", files={"other-1.0.dist-info/METADATA": b""}))


@pytest.mark.parametrize("text", [b"", b"Wheel-Version: 2.0\n", b"Wheel-Version: 1\n", b"\xff"])
def test_point_82_a_wheel_of_an_unknown_wheel_version_is_refused(text: bytes) -> None:
    refusal(make_wheel("demo", "1.0", dist_info={"WHEEL": text}))


FILES = {"demo/__init__.py": b"x = 1\n", "demo/a, b.txt": b"", "demo/naïve.txt": b"x"}


def rows_of(change: Callable[[list[list[str]]], list[list[str]]]) -> tuple[str, bytes]:
    """Return a sound wheel, but for the rows of its RECORD."""
    _, data = make_wheel("demo", "1.0", files=FILES)
    with zipfile.ZipFile(io.BytesIO(data)) as sound:
        rows = list(csv.reader(io.StringIO(sound.read(f"{INFO}/RECORD").decode())))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(change(rows))
    return make_wheel("demo", "1.0", files=FILES, dist_info={"RECORD": text.getvalue().encode()})


def test_point_82_a_record_may_leave_out_itself_sizes_and_signatures() -> None:
    assert read(rows_of(lambda rows: [[path, digest, ""] for path, digest, _ in rows[:-1]])).version == "1.0"
    assert read(rows_of(lambda rows: [*rows, [f"{INFO}/RECORD.jws", "", ""]])).version == "1.0"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows[1:], "does not list 'demo/__init__.py'"),
        (lambda rows: [*rows, ["demo/gone.py", "", ""]], "lists 'demo/gone.py', which is not in the wheel"),
        (lambda rows: [*rows, rows[0]], "wrong or repeated row"),
        (lambda rows: [*rows, ["demo/x.py"]], "wrong or repeated row"),
        (lambda rows: [[rows[0][0], rows[1][1], "6"], *rows[1:]], "another hash or size"),
        (lambda rows: [[rows[0][0], rows[0][1], "7"], *rows[1:]], "another hash or size"),
        (lambda rows: [[rows[0][0], "", ""], *rows[1:]], "without a sha256"),
        (lambda rows: [[rows[0][0], "md5=" + "x" * 22, "6"], *rows[1:]], "without a sha256"),
        (lambda rows: [[rows[0][0], "sha1=" + "x" * 27, "6"], *rows[1:]], "without a sha256"),
        (lambda rows: [["./" + rows[0][0], *rows[0][1:]], *rows[1:]], "does not list"),
    ],
)
def test_point_82_a_record_that_does_not_vouch_for_every_file_is_refused(
    change: Callable[[list[list[str]]], list[list[str]]], problem: str
) -> None:
    assert problem in refusal(rows_of(change))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_point_82_members_of_other_compression_methods_are_refused(method: int) -> None:
    assert "neither stored nor deflated" in refusal(wheel_of([(zip_info("demo.py", method=method), b"x")]))


def test_point_82_stored_members_are_accepted() -> None:
    assert (
        read(
            wheel_of([(zip_info("demo.py", method=zipfile.ZIP_STORED), b"x"), (zip_info("demo/", mode=0o040755), b"")])
        ).version
        == "1.0"
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_point_82_duplicate_members_are_refused() -> None:
    assert "two members of one name, 'demo.py'" in refusal(wheel_of([("demo.py", b"x"), ("demo.py", b"x")]))
    assert "two members of one name, 'demo'" in refusal(wheel_of([("demo", b"x"), ("demo/", b"")]))


@pytest.mark.parametrize(
    "name",
    [
        "../demo.py", "demo/../../x.py", "/demo.py", "C:/demo.py", "demo\\x.py", "./demo.py", "demo//x.py",
        "demo/\x01.py", "demo/\x7f.py", "demo/..", "x" * 5000,
    ],
)  # fmt: skip
def test_point_82_members_with_unsafe_names_are_refused(name: str) -> None:
    assert "unsafe name" in refusal(wheel_of([(name, b"x")]))


def test_point_82_a_nul_in_a_name_is_refused() -> None:
    assert "unsafe name" in refusal(patched(wheel_of([("demo.py_x", b"x")]), b"demo.py_x", b"demo.py\0x"))


def test_point_82_a_name_that_is_not_utf8_is_refused() -> None:
    file = wheel_of([("naïve.py", b"x")])
    assert "broken archive" in refusal(patched(file, "naïve".encode(), b"na\xff\xffve"))


def test_point_82_symlinks_and_special_files_are_refused() -> None:
    for mode in (0o120777, 0o010644, 0o040755):
        assert "symlink or special" in refusal(wheel_of([(zip_info("demo.py", mode=mode), b"/etc/passwd")]))


def test_point_82_an_encrypted_member_is_refused() -> None:
    _, data = wheel_of([("demo.py", b"x")])
    flagged = bytearray(data)
    flagged[6] |= 1
    flagged[data.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refusal((WHEEL, bytes(flagged)))


def test_point_82_a_member_with_a_data_descriptor_is_refused() -> None:
    class Pipe(io.RawIOBase):
        written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.written += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as streamed:
        streamed.writestr(f"{INFO}/METADATA", PKG_INFO)
    assert "data descriptor" in refusal((WHEEL, pipe.written))


def test_point_82_data_around_a_zip_or_between_its_members_is_refused() -> None:
    filename, data = make_wheel("demo", "1.0")
    second = data.index(b"PK\x03\x04", 4)
    directory = data.index(b"PK\x01\x02")
    for changed in (
        b"#!/bin/sh\n" + data,
        data + b"\0",
        data + data,
        data[:second] + b"gap" + data[second:],
        data[:directory] + b"gap" + data[directory:],
        data[:-2] + struct.pack("<H", 3) + b"abc",
    ):
        refusal((filename, changed))


def test_point_82_a_comment_of_a_member_is_refused() -> None:
    info = zip_info("demo.py")
    info.comment = b"hidden"
    assert "comment" in refusal(wheel_of([(info, b"x")]))


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(6, "<H", 0x0800), (8, "<H", 0), (14, "<L", 1), (18, "<L", 1), (22, "<L", 1), (30, "4s", b"evil")],
)
def test_point_82_a_local_header_that_the_directory_contradicts_is_refused(
    offset: int, form: str, value: object
) -> None:
    _, data = wheel_of([("demo.py", b"x = 1\n" * 9)])
    changed = bytearray(data)
    struct.pack_into(form, changed, offset, value)
    refusal((WHEEL, bytes(changed)))


def test_point_82_members_that_overlap_are_refused() -> None:
    _, data = wheel_of([("demo.py", b"x" * 99), ("other.py", b"x" * 99)])
    changed = bytearray(data)
    second_entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    struct.pack_into("<L", changed, second_entry + 42, 0)
    refusal((WHEEL, bytes(changed)))


def test_point_82_zip64_is_accepted_where_it_is_consistent() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(make_wheel("demo", "1.0")[1])) as sound, zipfile.ZipFile(buffer, "w") as large:
        for info in sound.infolist():
            with large.open(zip_info(info.filename), "w", force_zip64=True) as member:
                member.write(sound.read(info))
    assert read((WHEEL, buffer.getvalue())).version == "1.0"


def zip64_end(data: bytes, **changes: int) -> bytes:
    """Return a zip with a zip64 end record (and 0xFF in the plain one)."""
    end = len(data) - 22
    _, *_, count, length, offset, _ = struct.unpack("<4s4H2LH", data[end:])
    values = {"count": count, "length": length, "offset": offset, "where": end, **changes}
    record64 = struct.pack(
        "<4sQ2H2L4Q",
        *(b"PK\x06\x06", 44, 45, 45, 0, 0, values["count"], values["count"], values["length"], values["offset"]),
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, values["where"], 1)
    return (
        data[:end]
        + record64
        + locator
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, *(2**32 - 1,) * 2, 0)
    )


def test_point_82_a_zip64_end_record_must_say_what_the_directory_is() -> None:
    filename, data = make_wheel("demo", "1.0")
    assert read((filename, zip64_end(data))).version == "1.0"
    for changes in ({"count": 1}, {"length": 46}, {"length": 2**40}, {"offset": 0}, {"offset": 2**60}, {"where": 0}):
        refusal((filename, zip64_end(data, **changes)))


def test_point_82_a_count_of_members_that_is_wrong_is_refused() -> None:
    filename, data = make_wheel("demo", "1.0")
    changed = bytearray(data)
    struct.pack_into("<H", changed, len(data) - 12, 1)
    assert "end record" in refusal((filename, bytes(changed)))


def test_point_82_a_second_name_in_extra_fields_is_refused() -> None:
    info = zip_info("demo.py")
    name = b"evil.py"
    info.extra = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, 0) + name
    assert "second name" in refusal(wheel_of([(info, b"x")]))


def test_a_wheel_that_is_a_tar_too_is_refused() -> None:
    # The name of the first member fills the numbers of a tar header with zeros, but for the checksum.
    def named(checksum: int) -> tuple[str, bytes]:
        return wheel_of([("0" * 118 + f"{checksum:08o}" + "0" * 364, b"")])

    block = named(0)[1][:512]
    file = named(256 + sum(block[:148]) + sum(block[156:]))
    assert tarfile.TarInfo.frombuf(file[1][:512], "utf-8", "strict").size == 0
    assert "both a zip and a tar" in refusal(file)
    assert read(named(1)).version == "1.0"


def test_a_wheel_that_is_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BOMB_SIZE", 1 << 20)
    assert "zip bomb" in refusal(wheel_of([("demo.bin", bytes(2 << 20))]))


def test_a_wheel_with_too_many_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    assert "more than 3 members" in refusal(make_wheel("demo", "1.0"))


@pytest.mark.parametrize("text", [b"[console_scripts]\ndemo = demo:main\nDemo = demo:main\n", b"", b"[a]\nx=%(y)s\n"])
def test_entry_points_that_can_be_read_are_accepted(text: bytes) -> None:
    assert read(make_wheel("demo", "1.0", dist_info={"entry_points.txt": text})).version == "1.0"


@pytest.mark.parametrize("text", [b"demo = demo:main\n", b"[a]\nb\n", b"[a]\nb\n  c\n", b"[a]\nx=1\nx=2\n", b"\xff"])
def test_entry_points_that_cannot_be_read_are_refused(text: bytes) -> None:
    refusal(make_wheel("demo", "1.0", dist_info={"entry_points.txt": text}))


# Sdists


@pytest.mark.parametrize("name", ["other-1.0/x.py", "x.py", "Demo-1.0/x.py", "demo-1.0x/x.py"])
def test_point_83_an_sdist_with_a_second_top_folder_is_refused(name: str) -> None:
    assert "must unpack into one folder, demo-1.0" in refusal(sdist_of((file_info(name), b"")))


def test_point_83_an_sdist_without_pkg_info_is_refused() -> None:
    assert "has no demo-1.0/PKG-INFO" in refusal((SDIST, make_tar_gz([(file_info("demo-1.0/setup.py"), b"")])))
    nested = file_info("demo-1.0/demo.egg-info/PKG-INFO", PKG_INFO)
    assert "has no demo-1.0/PKG-INFO" in refusal((SDIST, make_tar_gz([(nested, PKG_INFO)])))


@pytest.mark.parametrize(
    "name",
    [
        "demo-1.0/../x",
        "/demo-1.0/x",
        "../x",
        "demo-1.0/./x",
        "demo-1.0//x",
        "demo-1.0/\x01",
        "demo-1.0/a\\b",
        "demo-1.0/a/",
    ],
)
def test_point_83_members_with_unsafe_names_are_refused(name: str) -> None:
    assert "unsafe name" in refusal(sdist_of((file_info(name), b"")))


def test_point_83_a_name_that_is_not_utf8_is_refused() -> None:
    tar = gzip.decompress(make_tar_gz([(file_info("demo-1.0/naive"), b"")], tarfile.USTAR_FORMAT))
    header = bytearray(tar[:512].replace(b"naive", b"na\xffve"))
    header[148:156] = f"{256 + sum(header[:148]) + sum(header[156:512]):06o}\0 ".encode()
    assert "broken archive" in refusal((SDIST, gzip.compress(bytes(header) + tar[512:])))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_point_83_devices_and_fifos_are_refused(kind: bytes) -> None:
    assert "no plain file" in refusal(sdist_of(special("demo-1.0/x", kind)))


def test_point_83_sparse_members_are_refused() -> None:
    assert "no plain file" in refusal(sdist_of(special("demo-1.0/x", tarfile.GNUTYPE_SPARSE)))
    info = file_info("demo-1.0/x", b"12")
    info.pax_headers = {"GNU.sparse.map": "0,1,5,1", "GNU.sparse.size": "9", "GNU.sparse.name": "demo-1.0/x"}
    assert "no plain file" in refusal(sdist_of((info, b"12")))


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"), (tarfile.SYMTYPE, "../.."), (tarfile.SYMTYPE, "../../x"),
        (tarfile.SYMTYPE, "a/../../../x"), (tarfile.SYMTYPE, "a/../b"), (tarfile.SYMTYPE, ""),
        (tarfile.SYMTYPE, "a\\b"), (tarfile.SYMTYPE, "C:/x"), (tarfile.LNKTYPE, "other/x"),
        (tarfile.LNKTYPE, "/demo-1.0/PKG-INFO"), (tarfile.LNKTYPE, "demo-1.0/../x"), (tarfile.LNKTYPE, "demo-1.0"),
    ],
)  # fmt: skip
def test_point_83_links_that_lead_outside_are_refused(kind: bytes, target: str) -> None:
    assert "link to outside" in refusal(sdist_of(special("demo-1.0/sub/link", kind, target)))


def test_point_83_links_inside_are_accepted() -> None:
    found = read(
        sdist_of(
            special("demo-1.0", tarfile.DIRTYPE),
            special("demo-1.0/sub", tarfile.DIRTYPE),
            special("demo-1.0/sub/link", tarfile.SYMTYPE, "../PKG-INFO"),
            special("demo-1.0/sub/here", tarfile.SYMTYPE, "."),
            special("demo-1.0/hard", tarfile.LNKTYPE, "demo-1.0/PKG-INFO"),
        )
    )
    assert found.version == "1.0"


def test_point_83_a_member_behind_a_symlink_is_refused() -> None:
    file = sdist_of(
        special("demo-1.0/x/l", tarfile.SYMTYPE, ".."), (file_info("demo-1.0/l2/y"), b""),
        special("demo-1.0/l2", tarfile.SYMTYPE, "x/l"),
    )  # fmt: skip
    assert "behind a symlink" in refusal(file)


def test_point_83_a_top_folder_that_is_a_link_is_refused() -> None:
    assert "something else" in refusal((SDIST, make_tar_gz([special("demo-1.0", tarfile.SYMTYPE, "/etc")])))


def test_point_83_duplicate_members_are_refused() -> None:
    assert "two members of one name" in refusal(sdist_of((file_info("demo-1.0/PKG-INFO", PKG_INFO), PKG_INFO)))
    folder = special("demo-1.0/sub", tarfile.DIRTYPE)
    assert read(sdist_of(folder, folder)).version == "1.0"


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_point_83_every_tar_format_is_read(tar_format: int) -> None:
    long = file_info(f"demo-1.0/{'deep/' * 25}naïve.txt", b"x")
    members = [(file_info("demo-1.0/PKG-INFO", PKG_INFO), PKG_INFO), (long, b"x")]
    assert read((SDIST, make_tar_gz(members, tar_format))).version == "1.0"


def test_an_sdist_that_is_cut_off_or_goes_on_is_refused() -> None:
    filename, data = make_sdist("demo", "1.0")
    tar = gzip.decompress(data)
    end = len(tar.rstrip(b"\0")) // 512 * 512 + 512
    for changed in (
        data[:-9],
        data + b"junk",
        gzip.compress(tar[:end]),
        gzip.compress(tar[: end - 512]),
        gzip.compress(tar[:-512] + b"x" * 512),
        gzip.compress(tar + tar),
        gzip.compress(tar[:512] + b"\x01" + tar[513:]),
        tar,
        b"",
    ):
        refusal((filename, changed))


def test_an_sdist_that_is_a_zip_too_is_refused() -> None:
    _, zipped = make_wheel("demo", "1.0")
    filename, data = make_sdist("demo", "1.0")
    assert "both a zip and a tar" in refusal((filename, data + zipped))


def test_a_gzip_bomb_is_refused_without_being_unpacked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BOMB_SIZE", 1 << 20)
    bomb = special("demo-1.0/bomb", tarfile.REGTYPE, size=16 << 20)
    file = sdist_of(bomb)
    tracemalloc.start()
    try:
        assert "gzip bomb" in refusal(file)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_tar_header_of_absurd_size_or_length_is_refused() -> None:
    info = file_info("demo-1.0/x")
    for value, problem in (("y" * (2 << 20), "more than 1,048,576 bytes"), ("1" * 100, "absurdly long number")):
        info.pax_headers = {"comment": value}
        assert problem in refusal(sdist_of((info, b"")))


def test_a_tar_that_leads_backwards_does_not_loop() -> None:
    info = file_info("demo-1.0/x")
    info.pax_headers = {"size": "-2048"}
    refusal(sdist_of((info, b"")))


def test_a_chain_of_tar_headers_ends_in_an_error() -> None:
    tar = gzip.decompress(make_tar_gz([]))
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    refusal((SDIST, gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) * 5000 + tar)))


def test_global_tar_headers_without_end_are_refused() -> None:
    buffer = io.BytesIO()
    headers = {f"key{number}": "x" for number in range(200)}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        tar.addfile(file_info("demo-1.0/x"))
    assert "global tar headers" in refusal((SDIST, gzip.compress(buffer.getvalue())))


# Hostile bytes


GOOD = (
    make_wheel("demo", "1.0", requires_python=">=3.8", dist_info={"entry_points.txt": b"[a]\nb = c\n"}),
    make_sdist("demo", "1.0", requires_python=">=3.8"),
)
TAR = gzip.decompress(GOOD[1][1])


def check_harmless(filename: str, data: bytes) -> None:
    for reader in (read_distribution, read_core_facts):
        try:
            reader(filename, io.BytesIO(data))
        except DistributionError as error:
            assert str(error).isprintable()  # noqa: PT017 - both outcomes are right


@given(st.sampled_from([WHEEL, SDIST]), st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
@example(WHEEL, b"PK\x05\x06" + bytes(18))
@example(WHEEL, b"PK\x05\x06" + b"\xff" * 16 + b"\0\0")
@example(SDIST, gzip.compress(b"x" * 512))
def test_random_bytes_are_a_distribution_error(filename: str, data: bytes) -> None:
    with pytest.raises(DistributionError):
        read_distribution(filename, io.BytesIO(data))
    check_harmless(filename, data)


@given(st.data())
@settings(max_examples=250, deadline=None)
def test_changed_bytes_of_a_good_archive_are_a_distribution_or_a_distribution_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["wheel", "sdist", "tar"]))
    filename, original = {"wheel": GOOD[0], "sdist": GOOD[1], "tar": (SDIST, TAR)}[kind]
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff\xfe"]))
        changed[at : at + data.draw(st.integers(0, 8))] = piece
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(0, len(changed))) :]
    check_harmless(filename, gzip.compress(bytes(changed)) if kind == "tar" else bytes(changed))


@given(st.text(max_size=80), st.lists(st.tuples(st.text("ADIMNRadeimnrst-", max_size=20), st.text(max_size=30))))
@settings(max_examples=100, deadline=None)
def test_any_metadata_is_accepted_or_a_distribution_error(start: str, fields: list[tuple[str, str]]) -> None:
    text = start + "".join(f"{name}: {value}\n" for name, value in fields)
    for data in (text, f"{metadata('demo', '1.0').decode()}{text}"):
        check_harmless(*of_metadata(data.encode("utf-8", "replace")))


def test_an_error_of_the_disk_is_not_called_a_broken_archive() -> None:
    class Failing(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        read_distribution(WHEEL, Failing())
