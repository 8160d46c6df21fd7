"""What devpi knows of the files of a release, and of testing them, as files of a source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from gitindex import toxreport
from gitindex.errors import CannotRunError, DeliveryError, UsageError
from gitindex.importers.reading import a_list, a_mapping, a_moment, read_json
from gitindex.importers.report import Kind, Report
from gitindex.importers.source import Fetch, SourceFile
from gitindex.names import IndexName, ProjectName, Sha256, UserName

_LONGEST_NAME = 200
NO_FILES = "has no files: nothing but its name was registered"


class Link(NamedTuple):
    """A file that devpi has of a release."""

    rel: str
    """`releasefile`, `toxresult` or `doczip`."""
    place: str
    """Where it is: the end of a URL's path, or a path in an export."""
    filename: str
    sha256: Sha256 | None
    log: tuple[Mapping[str, Any], ...]
    about: str = ""
    """For a result: the name of the file that was tested."""
    modified: str | None = None
    """When the file was last written, where devpi says so, as a manifest has it."""


class Release(NamedTuple):
    """A version of a project in an index."""

    place: IndexName
    project: ProjectName
    links: Sequence[Link]
    users: Mapping[str, UserName]
    """What users are called here."""


def files_of(
    release: Release, content_of: Callable[[Link], Path | Fetch], read: Callable[[Link], bytes], report: Report
) -> Iterator[SourceFile]:
    """Yield the files of a release with what came of testing them; *read* gives a result, or raises DeliveryError."""
    results = [link for link in release.links if link.rel == "toxresult"]
    tested = {link.filename for link in release.links if link.rel == "releasefile"}
    for link in results:
        if link.about not in tested:
            report.add(Kind.LEFT_OUT, release.place, link.filename[:200], "tells of no file that its release has")
    for link in release.links:
        if link.rel == "releasefile":
            file = _file(link, release, content_of(link))
            of_file = [result for result in results if result.about == link.filename]
            yield replace(file, results=tuple(_runs(file, of_file, read, release.place, report)))
        elif link.rel == "doczip":
            report.note(release.place, link.filename[:200], "is documentation, which has no place here")
        elif link.rel != "toxresult":
            report.note(release.place, link.filename[:200], f"is {link.rel[:40]!a}, which has no counterpart")


def _file(link: Link, release: Release, content: Path | Fetch) -> SourceFile:
    uploads = [entry for entry in link.log if entry.get("what") in ("upload", "overwrite")]
    uploaded = next((time for entry in reversed(uploads) if (time := a_moment(entry.get("when")))), link.modified)
    last = link.log[-1] if link.log else {}
    who = last.get("who") or next((entry.get("who") for entry in reversed(uploads) if entry.get("who")), None)
    came = a_moment(last.get("when")) or uploaded
    return SourceFile(
        link.filename,
        content,
        project=release.project,
        sha256=link.sha256,
        upload_time=uploaded or came,
        came=came,
        uploader=release.users.get(who) if isinstance(who, str) else None,
    )


def _runs(
    file: SourceFile, results: Iterable[Link], read: Callable[[Link], bytes], place: IndexName, report: Report
) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = []
    for link in results:
        stated = (time for entry in link.log if (time := a_moment(entry.get("when"))))
        time = next(stated, link.modified or file.upload_time)
        try:
            data = read(link)
            said = read_json(data, link.filename)
            digest = hashlib.sha256(data).hexdigest()
            if link.sha256 not in {None, digest}:
                report.add(Kind.LEFT_OUT, place, link.filename, f"has the sha256 {digest}, and not {link.sha256}")
            elif not _is_about(said, file.sha256):
                report.note(place, link.filename, f"tells of other bytes than those of {file.filename}")
            elif time is None:
                report.add(Kind.LEFT_OUT, place, link.filename, "nobody says when that was")
            else:
                found = toxreport.runs_in(data, "", datetime.fromisoformat(time))
                sound = [{**run, "time": time} for run in found if 0 < len(run["environment"]) <= _LONGEST_NAME]
                if len(sound) < len(found):
                    why = f"an environment of it has no name, or one of more than {_LONGEST_NAME} characters"
                    report.add(Kind.LEFT_OUT, place, link.filename, why)
                runs += sound
        except DeliveryError as error:
            report.add(Kind.MISSING, place, link.filename, error.problem)
        except (CannotRunError, UsageError) as error:
            report.add(Kind.LEFT_OUT, place, link.filename, error.message.removeprefix(f"{link.filename}: "))
    return sorted(runs, key=lambda run: (run["time"], run["log"], run["environment"]))


def _is_about(report: Mapping[str, Any], sha256: Sha256 | None) -> bool:
    """Tell whether a report of tox is, as far as it says, one on the very bytes."""
    stated = a_mapping(report.get("installpkg")).get("sha256")
    return not isinstance(stated, str) or sha256 is None or stated.lower() == sha256


def log_of(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return what devpi noted of a link."""
    return tuple(map(a_mapping, a_list(value)))
