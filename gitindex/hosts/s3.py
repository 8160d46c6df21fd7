"""The website of an S3 bucket: its configuration, with a rule for each project that falls through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from gitindex.errors import CannotRunError
from gitindex.hosts.rules import NO_JSON, HostSite, open_notes, singles

CANNOT = (
    NO_JSON,
    "It speaks http alone: put a distribution of CloudFront, or another proxy, in front of it.",
    "It sends the headers that gitindex publish stored with each file, and no others.",
)
notes = open_notes
_MOST_RULES = 50


def files(site: HostSite) -> Mapping[str, bytes]:
    """Return the configuration of the website, for `aws s3api put-bucket-website`.

    Raises:
        CannotRunError: there are more rules than the host takes.

    """
    rules = [_rule(site.base_path[1:], str(index), project, upstream) for index, project, upstream in singles(site)]
    if len(rules) > _MOST_RULES:
        raise CannotRunError(
            f"{len(rules):,} projects fall through, and S3 takes {_MOST_RULES} rules",
            help="let the site have these pages itself: add --carry",
        )
    website: dict[str, object] = {
        "IndexDocument": {"Suffix": "index.html"},
        "ErrorDocument": {"Key": f"{site.base_path[1:]}404.html"},
    }
    if rules:
        website["RoutingRules"] = rules
    return {".host/s3/website.json": json.dumps(website, indent=2).encode() + b"\n"}


def _rule(base: str, index: str, project: str, upstream: str) -> Mapping[str, object]:
    parts = urlsplit(upstream)
    return {
        "Condition": {"KeyPrefixEquals": f"{base}{index}/simple/{project}/", "HttpErrorCodeReturnedEquals": "404"},
        "Redirect": {
            "Protocol": parts.scheme,
            "HostName": parts.netloc,
            # Not the prefix alone: what follows it could lead to another project (`..`).
            "ReplaceKeyWith": f"{parts.path[1:]}{project}/",
            "HttpRedirectCode": "302",
        },
    }
