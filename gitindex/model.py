"""The files of an index repository, format 1: one file, one model; `schemas/` is generated from them.

A model says which keys there are and of what type. Everything else that is demanded of the content is a rule
(:mod:`gitindex.rules`): a stricter model would make old commits unreadable.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel

FORMAT = 1

# `Field(strict=True)`, not `Strict()` or `StringConstraints`: those cost the import of all of pydantic's types.
Text = Annotated[str, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Integer = Annotated[int, Field(strict=True)]
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


UploadTime = Annotated[
    Text,
    Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$"),
    AfterValidator(_real_time),
]
HttpUrl = Annotated[Text, AfterValidator(_http_url)]
PublicUrl = Annotated[Text, AfterValidator(_public_url)]
Pattern = Annotated[Text, Field(pattern=r"^[a-z0-9*?][a-z0-9*?-]*$")]
Digest = Annotated[Text, Field(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(strict=True, ge=0, lt=1e9)]
Age = Annotated[Text, Field(pattern=r"^[0-9]{1,9}[smhdw]$")]


class Model(BaseModel):
    """What all models share: unknown keys are refused, values are frozen."""

    # Most commands need two or three of the models: each is built when it is used first.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Site(Model):
    """Where and under which title the rendered site is served."""

    url: PublicUrl = Field(
        default="", description="Where the rendered site is served; pages use relative links all the same."
    )
    title: Text = Field(default="Python packages", description="The title of the site.")


class Storage(Model):
    """Where the released files are kept."""

    url: Text = Field(
        default="files/",
        pattern=r"^(files/|(s3|gs|az|file)://.+)$",
        description="`files/` in the repository, or an object store: s3://, gs://, az://, file:///.",
    )
    public_url: PublicUrl = Field(
        default="", description="Where stored files are downloaded from; empty: the site's own files/."
    )

    @property
    def is_embedded(self) -> bool:
        """Whether the files are kept in the repository itself."""
        return self.url == "files/"


class Policy(Model):
    """How changes are accepted."""

    protected_branch: Text = Field(default="main", description="The branch that is published.")
    require_signed_commits: Flag = False
    ignore: Names = Field(default=(), description="Codes of warnings that are not reported; errors cannot be ignored.")


class Forge(Model):
    """Where changes are proposed; where it is not said, the host of the remote tells."""

    type: Literal["github", "gitlab", "gitea"] | None = Field(
        default=None, description="How a pull request is opened; `gitea` is Forgejo's way too."
    )
    url: PublicUrl = Field(
        default="", description="The forge's address for people, where that is not `https://` and the remote's host."
    )


class ReservedNames(Model):
    """Names that are ours even before a release exists."""

    reserved: tuple[Pattern, ...] = Field(
        default=(), description="Normalised names or patterns; never asked of, or answered by, a mirror."
    )


class Waiver(Model):
    """A warning that is accepted for a time, with the reason: an exception under review like everything else."""

    rule: Text = Field(description="The code of a warning; errors cannot be waived.")
    path: Text = Field(
        pattern=r"^[^/]",
        max_length=1000,
        description="The path that the warning names, or a glob: `*` and `?` within a segment, `**` for any segments.",
    )
    reason: Text = Field(pattern=r"\S", description="Why it is accepted.")
    until: Annotated[date, Field(strict=True)] = Field(description="The last day on which it is accepted.")


class Settings(Model):
    """`gitindex.toml`: the settings of an index repository."""

    format: Integer = Field(description="The version of the format; this is format 1.")
    site: Site = Field(default_factory=Site)
    storage: Storage = Field(default_factory=Storage)
    groups: dict[str, Names] = Field(default_factory=dict, description="Groups of users, named `:group` in an ACL.")
    policy: Policy = Field(default_factory=Policy)
    forge: Forge = Field(default_factory=Forge)
    names: ReservedNames = Field(default_factory=ReservedNames)
    waivers: tuple[Waiver, ...] = Field(
        default=(), max_length=100, description="Warnings that are accepted; in force once they are in the base."
    )


class User(Model):
    """`indexes/<user>/user.toml`: an owner of indexes."""

    email: Text = ""
    title: Text = ""
    identities: Names = Field(default=(), description="Who the user is elsewhere: `github:emilie`, `ssh:SHA256:…`.")
    admin: Flag = Field(default=False, description="Whether the user may change users, groups, policy and settings.")


class Stage(Model):
    """`indexes/<user>/<index>/index.toml`: an index that people release to. The keys are devpi's."""

    type: Literal["stage"] = "stage"
    title: Text = ""
    description: Text = ""
    volatile: Flag = Field(
        default=True, description="Whether releases may be replaced or removed; once false, it stays false."
    )
    bases: Names = Field(default=(), description="Indexes that this one inherits from, `user/name`, first wins.")
    acl_upload: Names | None = Field(
        default=None, description="Users and `:groups` who may release here; the owner where it is not given."
    )
    mirror_whitelist: Names = Field(
        default=(),
        description="Normalised project names, or `*`, that a mirror may add to although they are ours.",
    )
    mirror_whitelist_inheritance: Literal["intersection", "union"] = "intersection"
    merge_mirrors: Flag = Field(
        default=False,
        description="Whether all mirrors that have a project answer for it, not the first alone.",
    )
    require_tests: Flag = Field(default=False, description="Whether a push needs a passed test result.")


class Mirror(Model):
    """`indexes/<user>/<index>/index.toml`: a read-only index that shows another simple repository."""

    type: Literal["mirror"]
    title: Text = ""
    description: Text = ""
    mirror_url: HttpUrl | None = Field(
        default=None, description="The simple index that is shown; PyPI's where it is not given."
    )
    mirror_cache_expiry: Integer = Field(
        default=1800, ge=0, description="Seconds until a cached page is asked for again."
    )
    mirror_use_external_urls: Flag = Field(
        default=False, description="Whether pages link to the upstream's own URLs, not to our cache."
    )
    allow: Names | None = Field(
        default=None,
        description="The only projects shown: names or requirement specifiers such as `django<5`.",
    )
    deny: Names = Field(default=(), description="Projects not shown: names or requirement specifiers.")
    mirror_min_age: Age | None = Field(default=None, description="Files younger than that are not shown, such as `7d`.")
    mirror_min_age_exempt: Names = Field(default=(), description="Projects that `mirror_min_age` does not concern.")
    bases: Names = Field(default=(), description="A mirror has no bases (GI103).", json_schema_extra={"maxItems": 0})


Definition = Stage | Mirror


class Hashes(Model):
    """The digests of a file; sha256 alone, as on a simple page."""

    sha256: Text


class File(Model):
    """One distribution of a release; the key names are the simple API's (PEP 691, PEP 700)."""

    filename: Text
    hashes: Hashes
    size: Integer = Field(description="Bytes.")
    upload_time: UploadTime | None = Field(default=None, alias="upload-time")
    requires_python: Text | None = Field(default=None, alias="requires-python")
    core_metadata: Hashes | None = Field(
        default=None,
        alias="core-metadata",
        description="PEP 658: digest of the `.metadata` file beside the file.",
    )
    url: Text | None = Field(default=None, description="Absolute https URL of a file that is hosted elsewhere.")
    provenance: Text | None = Field(
        default=None, description="PEP 740: sha256 of the provenance document beside the file."
    )


class Manifest(Model):
    """`indexes/<user>/<index>/<project>/<version>.json`: the facts of one release, only ever added to."""

    name: Text
    version: Text
    files: tuple[File, ...] = Field(min_length=1)


class ProjectStatements(Model):
    """`indexes/<user>/<index>/<project>/project.toml`: statements about a project that may change."""

    status: Literal["active", "archived", "quarantined", "deprecated"] | None = Field(
        default=None, description="PEP 792. The files of a quarantined project are listed nowhere."
    )
    status_reason: Text | None = Field(default=None, alias="status-reason")
    yanked: dict[str, Text] = Field(
        default_factory=dict, description='PEP 592: `"<version>"` or `"<filename>"` = reason.'
    )
    sources: Names = Field(
        default=(),
        description="The only URL prefixes, each ending in `/`, from which files with a `url` may come.",
    )


class TestRun(Model):
    """One run of the tests of a release: what was tested, where, and what came of it."""

    __test__ = False  # pytest takes every class of such a name for its own

    environment: Text = Field(
        min_length=1, max_length=200, description="What it ran in, as the runner names it: `py313`, `lint`."
    )
    outcome: Literal["passed", "failed", "error"] = Field(
        description="`failed`: tests failed; `error`: they could not be run."
    )
    duration: Seconds = Field(description="Seconds.")
    time: UploadTime = Field(description="When it ended, UTC.")
    files: tuple[Digest, ...] = Field(
        min_length=1, max_length=100, description="sha256 of the files that were tested: the wheel, the sdist."
    )
    log: Digest | None = Field(default=None, description="sha256 of the log, to tell it from any other.")


class TestResults(RootModel[tuple[TestRun, ...]]):
    """`indexes/<user>/<index>/<project>/<version>.tests.json`: what came of testing a release, only ever added to."""

    __test__ = False

    model_config = ConfigDict(frozen=True, defer_build=True)
    root: tuple[TestRun, ...] = Field(min_length=1)


SCHEMAS: dict[str, type[BaseModel]] = {
    "gitindex": Settings,
    "user": User,
    "stage": Stage,
    "mirror": Mirror,
    "manifest": Manifest,
    "project": ProjectStatements,
    "tests": TestResults,
}
"""File name in `schemas/` (without `.schema.json`) and the model it is generated from."""


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of *model*, keys as they stand in the files."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(by_alias=True),
    }


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return all JSON Schemas by their file name in `schemas/` (without `.schema.json`).

    There is one of `index.toml` too, for who goes by the names of files alone and cannot tell a stage from a mirror.
    """
    found = {name: json_schema(model) for name, model in SCHEMAS.items()}
    either = [{key: value for key, value in found[name].items() if key != "$schema"} for name in ("stage", "mirror")]
    return {**found, "index": {"$schema": found["stage"]["$schema"], "title": "Index", "oneOf": either}}
