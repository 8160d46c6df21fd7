"""The files of an index repository, format 1: one file, one model; `schemas/` is generated from them.

A model says which keys there are and of what type. Everything else that is demanded of the content is a rule
(:mod:`gitindex.rules`): a stricter model would make old commits unreadable. What else a field states is for pydantic,
which makes the schemas and says what is wrong with a document (:mod:`gitindex.documents`). It takes long to import, and
values do without it.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, dataclass_transform
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMAT = 1
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Check:
    """What is demanded of a value beside its type: *limits* in pydantic's words, and that a function takes it.

    *about* is what its schema says of it. A function that *comes_first* is given what stands in the document.
    """

    def __init__(
        self,
        function: Callable[[Any], Any] | None = None,
        about: Mapping[str, str] = _NOTHING,
        *,
        comes_first: bool = False,
        **limits: Any,
    ) -> None:
        self.function = function
        self.comes_first = comes_first
        self.about = about
        self.limits = limits

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core.core_schema import (  # noqa: PLC0415
            no_info_after_validator_function,
            no_info_before_validator_function,
        )

        schema = {**handler(source), **self.limits}
        if self.function is None:
            return schema
        make = no_info_before_validator_function if self.comes_first else no_info_after_validator_function
        return make(self.function, schema)

    def __get_pydantic_json_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return {**handler(source), **self.about}


Text = Annotated[str, Check(strict=True)]
Flag = Annotated[bool, Check(strict=True)]
Integer = Annotated[int, Check(strict=True)]
Names = tuple[Text, ...]


def _real_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must have no credentials: they come from the environment (netrc)")
    return text


def _public_url(text: str) -> str:
    return _http_url(text) if text else text


def _wanted_tests(value: Any) -> Any:
    """Say in one what is wrong with a value that may be of two types."""
    is_list = isinstance(value, (list, tuple)) and all(isinstance(name, str) and name for name in value) and value
    if not isinstance(value, bool) and not is_list:
        raise ValueError("must be true, false, or a list of the environments in which tests have to pass")
    return value


UploadTime = Annotated[Text, Check(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$"), Check(_real_time)]
HttpUrl = Annotated[Text, Check(_http_url)]
PublicUrl = Annotated[Text, Check(_public_url)]
Pattern = Annotated[Text, Check(pattern=r"^[a-z0-9*?][a-z0-9*?-]*$")]
Digest = Annotated[Text, Check(pattern=r"^[0-9a-f]{64}$")]
Environment = Annotated[Text, Check(min_length=1, max_length=200)]
WantedTests = Annotated[
    Flag | Annotated[tuple[Environment, ...], Check(min_length=1)], Check(_wanted_tests, comes_first=True)
]
Seconds = Annotated[float, Check(strict=True, ge=0, lt=1e9)]
PublisherName = Annotated[
    Text, Check(pattern=r"^(github|gitlab):[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+(@[^\s@]+)?$", max_length=300)
]
Age = Annotated[Text, Check(pattern=r"^[0-9]{1,9}[smhdw]$")]
Day = Annotated[date, Check(strict=True)]


def key(*, default: Any = MISSING, default_factory: Any = MISSING, **facts: Any) -> Any:
    """Return a field of a model: its default, and what pydantic is told of it."""
    return field(default=default, default_factory=default_factory, metadata=facts)


@dataclass_transform(frozen_default=True, field_specifiers=(key,))
class Model:
    """What all models share: unknown keys are refused, values are frozen."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - it is pydantic's name, and its type too

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    @classmethod
    def fields(cls) -> dict[str, Field[Any]]:
        """Return the fields, by their keys in a document."""
        found = fields(cls)  # type: ignore[arg-type] # every subclass is a dataclass
        return {each.metadata.get("alias", each.name): each for each in found}

    def data(self) -> dict[str, Any]:
        """Return what the document says, by its keys, with the defaults of those that it leaves out."""
        return {key: _data(getattr(self, each.name)) for key, each in self.fields().items()}


def _data(value: Any) -> Any:
    if isinstance(value, Model):
        return value.data()
    return tuple(map(_data, value)) if isinstance(value, tuple) else value


class Site(Model):
    """Where and under which title the rendered site is served."""

    url: PublicUrl = key(
        default="", description="Where the rendered site is served; pages use relative links all the same."
    )
    title: Text = key(default="Python packages", description="The title of the site.")


class Storage(Model):
    """Where the released files are kept."""

    url: Text = key(
        default="files/",
        pattern=r"^(files/|(s3|gs|az|file)://.+)$",
        description="`files/` in the repository, or an object store: s3://, gs://, az://, file:///.",
    )
    public_url: PublicUrl = key(
        default="", description="Where stored files are downloaded from; empty: the site's own files/."
    )

    @property
    def is_embedded(self) -> bool:
        """Whether the files are kept in the repository itself."""
        return self.url == "files/"


class Policy(Model):
    """How changes are accepted."""

    protected_branch: Text = key(default="main", description="The branch that is published.")
    require_signed_commits: Flag = key(
        default=False, description="Whether each commit must be signed by a user who may do what it does."
    )
    ignore: Names = key(default=(), description="Codes of warnings that are not reported; errors cannot be ignored.")


class Forge(Model):
    """Where changes are proposed; where it is not said, the host of the remote tells."""

    type: Literal["github", "gitlab", "gitea"] | None = key(
        default=None, description="How a pull request is opened; `gitea` is Forgejo's way too."
    )
    url: PublicUrl = key(
        default="", description="The forge's address for people, where that is not `https://` and the remote's host."
    )


class ReservedNames(Model):
    """Names that are ours even before a release exists."""

    reserved: tuple[Pattern, ...] = key(
        default=(), description="Normalised names or patterns; never asked of, or answered by, a mirror."
    )


class Waiver(Model):
    """A warning that is accepted for a time, with the reason: an exception under review like everything else."""

    rule: Text = key(description="The code of a warning; errors cannot be waived.")
    path: Text = key(
        pattern=r"^[^/]",
        max_length=1000,
        description="The path that the warning names, or a glob: `*` and `?` within a segment, `**` for any segments.",
    )
    reason: Text = key(pattern=r"\S", description="Why it is accepted.")
    until: Day = key(description="The last day on which it is accepted.")


class Settings(Model):
    """`gitindex.toml`: the settings of an index repository."""

    format: Integer = key(description="The version of the format; this is format 1.")
    site: Site = key(default_factory=Site)
    storage: Storage = key(default_factory=Storage)
    groups: dict[str, Names] = key(default_factory=dict, description="Groups of users, named `:group` in an ACL.")
    policy: Policy = key(default_factory=Policy)
    forge: Forge = key(default_factory=Forge)
    names: ReservedNames = key(default_factory=ReservedNames)
    waivers: tuple[Waiver, ...] = key(
        default=(), max_length=100, description="Warnings that are accepted; in force once they are in the base."
    )


class User(Model):
    """`indexes/<user>/user.toml`: an owner of indexes."""

    email: Text = key(default="", description="Where the user is reached; commits by it are the user's in a log.")
    title: Text = key(default="", description="What the user is called on the pages for people.")
    identities: Names = key(default=(), description="Who the user is elsewhere: `github:emilie`, `ssh:SHA256:…`.")
    admin: Flag = key(default=False, description="Whether the user may change users, groups, policy and settings.")


class Stage(Model):
    """`indexes/<user>/<index>/index.toml`: an index that people release to. The keys are devpi's."""

    type: Literal["stage"] = key(default="stage", description="What kind of index it is; it never changes.")
    title: Text = key(default="", description="One line about the index, for people.")
    description: Text = key(default="", description="More about the index, for people.")
    volatile: Flag = key(
        default=True, description="Whether releases may be replaced or removed; once false, it stays false."
    )
    bases: Names = key(default=(), description="Indexes that this one inherits from, `user/name`, first wins.")
    acl_upload: Names | None = key(
        default=None, description="Users and `:groups` who may release here; the owner where it is not given."
    )
    mirror_whitelist: Names = key(
        default=(),
        description="Normalised project names, or `*`, that a mirror may add to although they are ours.",
    )
    mirror_whitelist_inheritance: Literal["intersection", "union"] = key(
        default="intersection", description="How the whitelists of the indexes on the way to a mirror are combined."
    )
    merge_mirrors: Flag = key(
        default=False,
        description="Whether all mirrors that have a project answer for it, not the first alone.",
    )
    require_tests: WantedTests = key(
        default=False,
        description="Whether a file needs a passed test result; or the environments in each of which it has to pass.",
    )
    require_attestation: tuple[PublisherName, ...] = key(
        default=(),
        description="Publishers of whom one has to attest each file: `github:owner/name`, or with `@release.yml`.",
    )


class Mirror(Model):
    """`indexes/<user>/<index>/index.toml`: a read-only index that shows another simple repository."""

    type: Literal["mirror"] = key(description="What kind of index it is; it never changes.")
    title: Text = key(default="", description="One line about the index, for people.")
    description: Text = key(default="", description="More about the index, for people.")
    mirror_url: HttpUrl | None = key(
        default=None, description="The simple index that is shown; PyPI's where it is not given."
    )
    mirror_cache_expiry: Integer = key(
        default=1800, ge=0, description="Seconds until a cached page is asked for again."
    )
    mirror_use_external_urls: Flag = key(
        default=False, description="Whether pages link to the upstream's own URLs, not to our cache."
    )
    allow: Names | None = key(
        default=None,
        description="The only projects shown: names or requirement specifiers such as `django<5`.",
    )
    deny: Names = key(default=(), description="Projects not shown: names or requirement specifiers.")
    mirror_min_age: Age | None = key(default=None, description="Files younger than that are not shown, such as `7d`.")
    mirror_min_age_exempt: Names = key(default=(), description="Projects that `mirror_min_age` does not concern.")
    bases: Names = key(default=(), description="A mirror has no bases (GI103).", json_schema_extra={"maxItems": 0})


Definition = Stage | Mirror


class Hashes(Model):
    """The digests of a file; sha256 alone, as on a simple page."""

    sha256: Text = key(description="64 lower-case hexadecimal digits.")


class File(Model):
    """One distribution of a release; the key names are the simple API's (PEP 691, PEP 700)."""

    filename: Text = key(description="The name of a wheel or an sdist, of this project and version.")
    hashes: Hashes = key(description="The digests of its bytes.")
    size: Integer = key(description="Bytes.")
    upload_time: UploadTime | None = key(default=None, alias="upload-time", description="When it was released, UTC.")
    requires_python: Text | None = key(
        default=None, alias="requires-python", description="The Python versions it is for, as its own metadata says."
    )
    core_metadata: Hashes | None = key(
        default=None,
        alias="core-metadata",
        description="PEP 658: digest of the `.metadata` file beside the file.",
    )
    url: Text | None = key(default=None, description="Absolute https URL of a file that is hosted elsewhere.")
    provenance: Text | None = key(
        default=None, description="PEP 740: sha256 of the provenance document beside the file."
    )


class Manifest(Model):
    """`indexes/<user>/<index>/<project>/<version>.json`: the facts of one release, only ever added to."""

    name: Text = key(description="The project, as its files spell it.")
    version: Text = key(description="The version, in canonical form; the manifest is named after it.")
    files: tuple[File, ...] = key(min_length=1, description="The files of the release.")


class ProjectStatements(Model):
    """`indexes/<user>/<index>/<project>/project.toml`: statements about a project that may change."""

    status: Literal["active", "archived", "quarantined", "deprecated"] | None = key(
        default=None, description="PEP 792. The files of a quarantined project are listed nowhere."
    )
    status_reason: Text | None = key(
        default=None, alias="status-reason", description="Why, in words for people; installers get it too."
    )
    yanked: dict[str, Text] = key(
        default_factory=dict, description='PEP 592: `"<version>"` or `"<filename>"` = reason.'
    )
    sources: Names = key(
        default=(),
        description="The only URL prefixes, each ending in `/`, from which files with a `url` may come.",
    )


class TestRun(Model):
    """One run of the tests of a release: what was tested, where, and what came of it."""

    __test__ = False  # pytest takes every class of such a name for its own

    environment: Environment = key(description="What it ran in, as the runner names it: `py313`, `lint`.")
    outcome: Literal["passed", "failed", "error"] = key(
        description="`failed`: tests failed; `error`: they could not be run."
    )
    duration: Seconds = key(description="Seconds.")
    time: UploadTime = key(description="When it ended, UTC.")
    files: tuple[Digest, ...] = key(
        min_length=1, max_length=100, description="sha256 of the files that were tested: the wheel, the sdist."
    )
    log: Digest | None = key(default=None, description="sha256 of the log, to tell it from any other.")


_RESULTS = (
    "`indexes/<user>/<index>/<project>/<version>.tests.json`: what came of testing a release, only ever added to."
)
TestResults = Annotated[
    tuple[TestRun, ...], Check(min_length=1, about={"title": "TestResults", "description": _RESULTS})
]

SCHEMAS: dict[str, Any] = {
    "gitindex": Settings,
    "user": User,
    "stage": Stage,
    "mirror": Mirror,
    "manifest": Manifest,
    "project": ProjectStatements,
    "tests": TestResults,
}
"""File name in `schemas/` (without `.schema.json`) and the model it is generated from."""
