"""Attestations (PEP 740): what is read of them, who signed, and what the commands and rules make of it.

A Sigstore of the tests' own signs, and the real `pypi-attestations` checks.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gitindex import layout
from gitindex.attestations import (
    MAX_ATTESTATIONS,
    ProvenanceError,
    Publisher,
    provenance_of,
    read_attestation,
    read_provenance,
    verified_publishers,
)
from tests.builders import make_wheel
from tests.conftest import Run
from tests.notary import Notary
from tests.repositories import DEV, IndexRepository, make_repository, small_content

NAME, WHEEL = make_wheel("table-print", "1.0")
SHA256 = hashlib.sha256(WHEEL).hexdigest()
WORKFLOW = "github:example/table-print"
ATTESTATION = Notary().attest(NAME, WHEEL)
STORED = layout.stored_path(SHA256, NAME) + layout.PROVENANCE_SUFFIX


@pytest.fixture(scope="module")
def notary() -> Notary:
    return Notary()


@pytest.fixture
def trusted(notary: Notary, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Notary:
    """Let this user trust the notary of the tests alone."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("XDG_DATA_HOME", str(cache / "data"))
    notary.trust(cache)
    return notary


def attested(notary: Notary, **options: Any) -> dict[str, Any]:
    return notary.attest(NAME, WHEEL, **options)


def test_document_names_the_workflow_whose_signature_holds(trusted: Notary) -> None:
    document = provenance_of([attested(trusted)], NAME, SHA256)
    assert verified_publishers(document, NAME, SHA256) == (Publisher("github", "example/table-print", "release.yml"),)
    assert json.loads(document)["attestation_bundles"][0]["publisher"] == {
        "kind": "GitHub",
        "repository": "example/table-print",
        "workflow": "release.yml",
        "environment": None,
    }


def test_attestations_of_several_publishers_are_sorted_and_each_is_there_once(trusted: Notary) -> None:
    one, other = attested(trusted), attested(trusted, repository="acme/builds")
    document = provenance_of([one, other, one], NAME, SHA256)
    bundles = json.loads(document)["attestation_bundles"]
    assert [bundle["publisher"]["repository"] for bundle in bundles] == ["acme/builds", "example/table-print"]
    assert [len(bundle["attestations"]) for bundle in bundles] == [1, 1]
    assert document == provenance_of([other, one], NAME, SHA256)


def test_workflow_of_gitlab_is_known(trusted: Notary) -> None:
    place = "https://gitlab.com/team/tools/table-print"
    claims = {"8": "https://gitlab.com", "12": place, "18": f"{place}//ci/release.yml@refs/tags/v1.0"}
    document = provenance_of([attested(trusted, claims=claims)], NAME, SHA256)
    expected = Publisher("gitlab", "team/tools/table-print", "ci/release.yml")
    assert verified_publishers(document, NAME, SHA256) == (expected,)
    assert expected.is_one_of(["gitlab:team/tools/table-print"])


@pytest.mark.parametrize(
    ("wanted", "is_one"),
    [
        ("github:example/table-print", True),
        ("github:Example/Table-Print", True),
        ("github:example/table-print@release.yml", True),
        ("github:example/table-print@other.yml", False),
        ("github:example/table", False),
        ("github:example/table-print/more", False),
        ("gitlab:example/table-print", False),
        ("example/table-print", False),
        ("", False),
    ],
)
def test_publisher_is_one_of_those_that_are_named(wanted: str, *, is_one: bool) -> None:
    assert Publisher("github", "example/table-print", "release.yml").is_one_of([wanted]) is is_one


def _signature(attestation: dict[str, Any]) -> None:
    attestation["envelope"]["signature"] = "MEUCIQ=="


def _statement(attestation: dict[str, Any]) -> None:
    import base64

    statement = json.loads(base64.b64decode(attestation["envelope"]["statement"]))
    statement["predicate"] = {"builder": "somebody else"}
    attestation["envelope"]["statement"] = base64.b64encode(json.dumps(statement).encode()).decode()


def _log(attestation: dict[str, Any]) -> None:
    attestation["verification_material"]["transparency_entries"][0]["inclusionProof"]["rootHash"] = "AA" * 21 + "A="


def _promise(attestation: dict[str, Any]) -> None:
    del attestation["verification_material"]["transparency_entries"][0]["inclusionPromise"]


def _no_log(attestation: dict[str, Any]) -> None:
    attestation["verification_material"]["transparency_entries"] = []


@pytest.mark.parametrize("forge", [_signature, _statement, _log, _promise, _no_log])
def test_forged_attestation_does_not_hold(trusted: Notary, forge: Callable[[dict[str, Any]], None]) -> None:
    genuine = json.loads(provenance_of([attested(trusted)], NAME, SHA256))
    forged = copy.deepcopy(genuine)
    forge(forged["attestation_bundles"][0]["attestations"][0])
    assert verified_publishers(json.dumps(genuine).encode(), NAME, SHA256)
    with pytest.raises(ProvenanceError, match=r"does not hold|is no"):
        verified_publishers(json.dumps(forged).encode(), NAME, SHA256)


def test_publisher_that_did_not_sign_is_not_believed(trusted: Notary) -> None:
    document = json.loads(provenance_of([attested(trusted, repository="mallory/evil")], NAME, SHA256))
    document["attestation_bundles"][0]["publisher"]["repository"] = "example/table-print"
    with pytest.raises(ProvenanceError, match="does not hold"):
        verified_publishers(json.dumps(document).encode(), NAME, SHA256)


def test_notary_that_is_not_trusted_proves_nothing(trusted: Notary) -> None:
    assert trusted is not None
    with pytest.raises(ProvenanceError, match="does not hold"):
        provenance_of([attested(Notary())], NAME, SHA256)


def test_attestation_of_another_file_is_refused(trusted: Notary) -> None:
    with pytest.raises(ProvenanceError, match="does not hold"):
        provenance_of([trusted.attest(NAME, b"other bytes")], NAME, SHA256)
    document = provenance_of([attested(trusted)], NAME, SHA256)
    with pytest.raises(ProvenanceError, match=r"is of 'table_print-1\.0-py3-none-any\.whl' with the sha256"):
        read_provenance(document, NAME, "0" * 64)


def test_signer_that_is_no_workflow_is_told(trusted: Notary) -> None:
    claims = {"12": "https://git.example.org/team/tools", "18": "https://git.example.org/team/tools//ci.yml@main"}
    with pytest.raises(ProvenanceError, match="gitindex knows workflows of GitHub and GitLab"):
        provenance_of([attested(trusted, claims=claims)], NAME, SHA256)


def test_publisher_of_an_unknown_kind_counts_for_nothing(trusted: Notary) -> None:
    document = json.loads(provenance_of([attested(trusted)], NAME, SHA256))
    document["attestation_bundles"][0]["publisher"] = {"kind": "Elsewhere", "name": "x"}
    data = json.dumps(document).encode()
    assert [bundle.publisher for bundle in read_provenance(data, NAME, SHA256)] == [None]
    assert verified_publishers(data, NAME, SHA256) == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_is_read_or_told(document: bytes) -> None:
    with pytest.raises(ProvenanceError):
        read_provenance(document, NAME, SHA256)
    with pytest.raises(ProvenanceError):
        read_attestation(document)


@given(json_values, st.data())
def test_document_with_a_part_that_is_anything_is_read_or_told(part: Any, data: st.DataObject) -> None:
    document: Any = {
        "version": 1,
        "attestation_bundles": [
            {
                "publisher": {"kind": "GitHub", "repository": "a/b", "workflow": "c.yml"},
                "attestations": [copy.deepcopy(ATTESTATION)],
            }
        ],
    }
    read_provenance(json.dumps(document).encode(), NAME, SHA256)
    at, parent = document, document
    keys: list[Any] = []
    while isinstance(at, dict | list) and at and (not keys or data.draw(st.booleans())):
        keys.append(data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at)))))
        parent, at = at, at[keys[-1]]
    parent[keys[-1]] = part
    with contextlib.suppress(ProvenanceError):
        bundles = read_provenance(json.dumps(document).encode(), NAME, SHA256)
        assert all(isinstance(attestation, dict) for bundle in bundles for attestation in bundle.attestations)


def test_document_with_more_attestations_than_anybody_has_is_not_checked(trusted: Notary) -> None:
    document = json.loads(provenance_of([attested(trusted)], NAME, SHA256))
    document["attestation_bundles"][0]["attestations"] *= MAX_ATTESTATIONS + 1
    with pytest.raises(ProvenanceError, match="21 attestations, and 20 are taken"):
        verified_publishers(json.dumps(document).encode(), NAME, SHA256)


# The commands.


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "dist" / NAME
    path.parent.mkdir()
    path.write_bytes(WHEEL)
    return path


def put_attestation(wheel: Path, attestation: dict[str, Any], name: str = f"{NAME}.publish.attestation") -> Path:
    path = wheel.parent / name
    path.write_text(json.dumps(attestation))
    return path


@pytest.fixture
def index(tmp_path: Path) -> IndexRepository:
    content = small_content(site={"url": "https://packages.example.org/"})
    content.stage("emilie/prod", volatile=False, bases=["root/pypi"], require_attestation=[WORKFLOW])
    return make_repository(tmp_path / "index", content)


def test_upload_stores_what_attests_a_file_and_the_whole_is_proven(
    index: IndexRepository, wheel: Path, trusted: Notary, run: Run
) -> None:
    put_attestation(wheel, attested(trusted))
    done = run("-C", index.path, "upload", *sorted(wheel.parent.iterdir()), "--index", "emilie/prod", "--commit")
    assert (done.code, done.err.count("\n")) == (0, 1), done.err
    manifest = json.loads((index.path / "indexes/emilie/prod/table-print/1.0.json").read_text())
    document = (index.path / STORED).read_bytes()
    assert manifest["files"][0]["provenance"] == hashlib.sha256(document).hexdigest()
    assert [str(publisher) for publisher in verified_publishers(document, NAME, SHA256)] == [WORKFLOW]
    assert run("-C", index.path, "validate", "--base", "HEAD~1", "--head", "HEAD").code == 0
    verified = run("-C", index.path, "verify")
    assert (verified.code, "none wrong" in verified.out) == (0, True), verified.err
    again = run("-C", index.path, "upload", *sorted(wheel.parent.iterdir()), "--index", "emilie/prod", "--commit")
    assert (again.code, again.out) == (0, f"Unchanged: {NAME} in emilie/prod\n")


def test_option_names_attestations_too(index: IndexRepository, wheel: Path, trusted: Notary, run: Run) -> None:
    other = put_attestation(wheel, attested(trusted), "anything.json")
    done = run("-C", index.path, "upload", wheel, "--attestation", other, "--index", "emilie/prod")
    assert done.code == 0, done.err
    assert (index.path / STORED).is_file()


def test_index_that_requires_attestations_refuses_a_file_without(
    index: IndexRepository, wheel: Path, trusted: Notary, run: Run
) -> None:
    assert trusted is not None
    done = run("-C", index.path, "upload", wheel, "--index", "emilie/prod")
    assert done.code == 1
    assert f"{NAME} has no attestation, and the index requires one of {WORKFLOW}" in done.err
    assert not (index.path / "files").exists()


def test_index_that_requires_attestations_refuses_those_of_others(
    index: IndexRepository, wheel: Path, trusted: Notary, run: Run
) -> None:
    put_attestation(wheel, attested(trusted, repository="mallory/evil"))
    done = run("-C", index.path, "upload", *wheel.parent.iterdir(), "--index", "emilie/prod")
    assert done.code == 1
    assert "is attested by github:mallory/evil@release.yml, and the index requires one of" in done.err


def test_promotion_takes_the_attestation_along(index: IndexRepository, wheel: Path, trusted: Notary, run: Run) -> None:
    put_attestation(wheel, attested(trusted))
    run("-C", index.path, "upload", *wheel.parent.iterdir(), "--index", "emilie/dev", "--commit")
    done = run("-C", index.path, "push", "table-print==1.0", "emilie/dev", "emilie/prod", "--commit")
    assert done.code == 0, done.err
    assert run("-C", index.path, "audit").code == 0


def test_document_that_is_forged_afterwards_is_found_by_verify_and_refused_by_validate(
    index: IndexRepository, wheel: Path, trusted: Notary, run: Run
) -> None:
    put_attestation(wheel, attested(trusted, repository="mallory/evil"))
    run("-C", index.path, "upload", *wheel.parent.iterdir(), "--index", "emilie/dev", "--commit")
    document = (index.path / STORED).read_text().replace("mallory/evil", "example/table-print")
    (index.path / STORED).write_text(document)
    path = index.path / "indexes/emilie/dev/table-print/1.0.json"
    manifest = json.loads(path.read_text())
    manifest["files"][0]["provenance"] = hashlib.sha256(document.encode()).hexdigest()
    path.write_text(json.dumps(manifest))
    found = run("-C", index.path, "verify")
    assert found.code == 1
    assert "GI014" in found.out
    assert "does not hold" in found.out
    (index.path / "indexes/emilie/prod/table-print").mkdir(parents=True)
    (index.path / "indexes/emilie/prod/table-print/1.0.json").write_text(json.dumps(manifest))
    refused = run("-C", index.path, "validate")
    assert (refused.code, "GI306" in refused.out) == (1, True)


def test_released_file_of_a_non_volatile_index_gets_no_attestation_later(
    tmp_path: Path, wheel: Path, trusted: Notary, run: Run
) -> None:
    index = make_repository(tmp_path / "index", small_content())
    for name in ("emilie/prod", str(DEV)):
        assert run("-C", index.path, "upload", wheel, "--index", name, "--commit").code == 0
    attestation = put_attestation(wheel, attested(trusted))
    refused = run("-C", index.path, "upload", wheel, attestation, "--index", "emilie/prod")
    assert refused.code == 2
    assert "is released already, and emilie/prod keeps what it says of its files" in refused.err
    done = run("-C", index.path, "upload", wheel, attestation, "--index", str(DEV))
    assert (done.code, done.out) == (0, f"Attest {NAME} in emilie/dev\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("{}", "is no attestation of version 1 (PEP 740)"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is no attestation (PEP 740)"),
        (" " * 2_000_000, "has more than 1,048,576 bytes"),
    ],
)
def test_file_that_is_no_attestation_is_told_in_a_line(
    index: IndexRepository, wheel: Path, run: Run, content: str, message: str
) -> None:
    path = wheel.parent / "x.attestation"
    path.write_text(content)
    done = run("-C", index.path, "upload", wheel, path, "--index", "emilie/dev")
    assert (done.code, done.err) == (1, f"gitindex: {path}: {message}\n")
    assert not (index.path / "files").exists()


def test_attestation_of_a_file_that_is_not_uploaded_is_told(
    index: IndexRepository, wheel: Path, notary: Notary, run: Run
) -> None:
    path = put_attestation(wheel, notary.attest("other-1.0.tar.gz", b""))
    done = run("-C", index.path, "upload", wheel, path, "--index", "emilie/dev")
    assert (done.code, "attests other-1.0.tar.gz, which is not uploaded" in done.err) == (2, True)


def test_without_the_extra_nothing_passes_and_the_way_out_is_told(
    index: IndexRepository, wheel: Path, trusted: Notary, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    attestation = put_attestation(wheel, attested(trusted))
    run("-C", index.path, "upload", wheel, attestation, "--index", "emilie/dev", "--commit")
    monkeypatch.setitem(__import__("sys").modules, "pypi_attestations", None)
    upload = run("-C", index.path, "upload", wheel, attestation, "--index", "emilie/dev")
    assert (upload.code, "pip install 'gitindex[attestations]'" in upload.err) == (3, True)
    push = run("-C", index.path, "push", "table-print==1.0", "emilie/dev", "emilie/prod")
    assert (push.code, "cannot be checked here: pip install" in push.err) == (1, True)
    verify = run("-C", index.path, "verify")
    assert (verify.code, "1 could not be checked" in verify.out) == (3, True)


def test_page_takes_no_document_at_its_word(index: IndexRepository, run: Run, tmp_path: Path) -> None:
    """Where no attestation is required, whoever may release can put a document there that nobody has signed.

    The page says what the document says, and not that it is true.
    """
    statement = {"subject": [{"name": NAME, "digest": {"sha256": SHA256}}]}
    envelope = {"statement": base64.b64encode(json.dumps(statement).encode()).decode(), "signature": "AA=="}
    attestation = {"version": 1, "verification_material": {}, "envelope": envelope}
    publisher = {"kind": "GitHub", "repository": "example/famous", "workflow": "release.yml"}
    bundles = [{"publisher": publisher, "attestations": [attestation]}]
    document = json.dumps({"version": 1, "attestation_bundles": bundles}).encode()
    path = tmp_path / NAME
    path.write_bytes(WHEEL)
    assert run("-C", index.path, "upload", path, "--index", "emilie/dev").code == 0
    manifest = index.path / "indexes/emilie/dev/table-print/1.0.json"
    told = json.loads(manifest.read_text())
    told["files"][0]["provenance"] = hashlib.sha256(document).hexdigest()
    manifest.write_text(json.dumps(told))
    (index.path / STORED).write_bytes(document)
    index.commit("Claim it")
    assert run("-C", index.path, "render", "--out", tmp_path / "site").code == 0
    page = (tmp_path / "site/emilie/dev/project/table-print/index.html").read_text()
    assert "that names github:example/famous" in page
    assert "attested" not in page
    assert run("-C", index.path, "verify").code == 1


def test_page_of_the_project_says_who_attests_and_links_to_the_document(
    index: IndexRepository, wheel: Path, trusted: Notary, run: Run, tmp_path: Path
) -> None:
    put_attestation(wheel, attested(trusted))
    run("-C", index.path, "upload", *wheel.parent.iterdir(), "--index", "emilie/prod", "--commit")
    site = tmp_path / "site"
    assert run("-C", index.path, "render", "--out", site).code == 0
    address = f"https://packages.example.org/{STORED}"
    page = (site / "emilie/prod/project/table-print/index.html").read_text()
    assert f'<a href="{address}">provenance</a> that names {WORKFLOW}</span>' in page
    (file,) = json.loads((site / "emilie/prod/simple/table-print/index.json").read_text())["files"]
    assert file["provenance"] == address
    assert f'data-provenance="{address}"' in (site / "emilie/prod/simple/table-print/index.html").read_text()
    assert verified_publishers((site / STORED).read_bytes(), NAME, SHA256)
