"""A Sigstore of the tests' own: it signs attestations (PEP 740) for any publisher, and the real library checks them."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pypi_attestations import AttestationType
from sigstore._internal.tuf import DEFAULT_TUF_URL

TIME = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""When everything is signed."""
PUBLISH: str = AttestationType.PYPI_PUBLISH_V1.value
_GITHUB = "https://token.actions.githubusercontent.com"
_SHA256 = ec.ECDSA(hashes.SHA256())
_NO_CLAIMS: Mapping[str, str] = MappingProxyType({})


class Notary:
    """One instance: a certificate authority, the log of its certificates, and the log of signatures."""

    def __init__(self) -> None:
        self._authority, self._certificates, self._signatures = (ec.generate_private_key(ec.SECP256R1()) for _ in "123")
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "notary of the tests")])
        usage = _usage(signs_certificates=True)
        self._root = (
            x509.CertificateBuilder(self._name, self._name, self._authority.public_key(), 1)
            .not_valid_before(TIME - timedelta(days=300))
            .not_valid_after(TIME + timedelta(days=3000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._authority.public_key()), critical=False)
            .sign(self._authority, hashes.SHA256())
        )

    def trust(self, cache: Path) -> None:
        """Let the library trust this instance alone, where *cache* is the user's folder of caches (XDG_CACHE_HOME)."""
        folder = cache / "sigstore-python" / "tuf" / quote(DEFAULT_TUF_URL, safe="")
        folder.mkdir(parents=True, exist_ok=True)
        start = {"start": "2026-01-01T00:00:00Z"}
        logs = {
            name: {
                "baseUrl": f"https://{name}.example.org",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": _text(_public(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": start,
                },
                "logId": {"keyId": _text(_key_id(key))},
            }
            for name, key in (("certificates", self._certificates), ("signatures", self._signatures))
        }
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [logs["signatures"]],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "notary", "commonName": "notary"},
                    "uri": "https://notary.example.org",
                    "certChain": {"certificates": [{"rawBytes": _text(self._root.public_bytes(Encoding.DER))}]},
                    "validFor": start,
                }
            ],
            "ctlogs": [logs["certificates"]],
            "timestampAuthorities": [],
        }
        (folder / "trusted_root.json").write_text(json.dumps(root))

    def attest(
        self,
        filename: str,
        data: bytes,
        *,
        repository: str = "example/table-print",
        workflow: str = "release.yml",
        kind: str = PUBLISH,
        claims: Mapping[str, str] = _NO_CLAIMS,
    ) -> dict[str, Any]:
        """Return the attestation of a file by a workflow of a repository at GitHub; *claims* replace some by number."""
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": filename, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}],
            "predicateType": kind,
            "predicate": None,
        }
        payload = json.dumps(statement).encode()
        key = ec.generate_private_key(ec.SECP256R1())
        place = f"https://github.com/{repository}"
        stated = {
            "8": _GITHUB,
            "12": place,
            "13": "0" * 40,
            "14": "refs/tags/v1.0",
            "18": f"{place}/.github/workflows/{workflow}@refs/tags/v1.0",
            **claims,
        }
        certificate = self._certify(key, stated)
        signature = key.sign(_pre_authenticated(payload), _SHA256)
        return {
            "version": 1,
            "verification_material": {
                "certificate": _text(certificate.public_bytes(Encoding.DER)),
                "transparency_entries": [self._logged(payload, signature, certificate)],
            },
            "envelope": {"statement": _text(payload), "signature": _text(signature)},
        }

    def _certify(self, key: ec.EllipticCurvePrivateKey, claims: Mapping[str, str]) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder(self._name, x509.Name([]), key.public_key(), x509.random_serial_number())
            .not_valid_before(TIME - timedelta(minutes=1))
            .not_valid_after(TIME + timedelta(minutes=9))
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(claims["18"])]), critical=True)
        )
        for number, value in claims.items():
            text = value.encode()
            oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, _der(0x0C, text)), critical=False)
        before = builder.sign(self._authority, hashes.SHA256())
        return builder.add_extension(self._stamped(before), critical=False).sign(self._authority, hashes.SHA256())

    def _stamped(self, certificate: x509.Certificate) -> x509.UnrecognizedExtension:
        """Return the proof that the log of certificates has seen one (RFC 6962, 3.2)."""
        body = certificate.tbs_certificate_bytes
        milliseconds = int(TIME.timestamp() * 1000)
        signed = struct.pack("!BBQH", 0, 0, milliseconds, 1) + _key_id(self._authority)
        signed += len(body).to_bytes(3, "big") + body + b"\0\0"
        signature = self._certificates.sign(signed, _SHA256)
        stamp = struct.pack("!B32sQ", 0, _key_id(self._certificates), milliseconds) + b"\0\0"
        stamp += struct.pack("!BBH", 4, 3, len(signature)) + signature
        listed = struct.pack("!H", len(stamp)) + stamp
        value = _der(0x04, struct.pack("!H", len(listed)) + listed)
        return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), value)

    def _logged(self, payload: bytes, signature: bytes, certificate: x509.Certificate) -> dict[str, Any]:
        """Return the entry of the log of signatures, which has no other one."""
        verifier = base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()
        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
                    "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                    "signatures": [{"signature": _text(signature), "verifier": verifier}],
                },
            }
        )
        root = hashlib.sha256(b"\0" + body).digest()
        note = f"signatures.example.org - 1\n1\n{_text(root)}\n"
        signed = _key_id(self._signatures)[:4] + self._signatures.sign(note.encode(), _SHA256)
        seconds = int(TIME.timestamp())
        promised = rfc8785.dumps(
            {
                "body": _text(body),
                "integratedTime": seconds,
                "logID": _key_id(self._signatures).hex(),
                "logIndex": 0,
            }
        )
        return {
            "logIndex": "0",
            "logId": {"keyId": _text(_key_id(self._signatures))},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(seconds),
            "inclusionPromise": {"signedEntryTimestamp": _text(self._signatures.sign(promised, _SHA256))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _text(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 signatures.example.org {_text(signed)}\n"},
            },
            "canonicalizedBody": _text(body),
        }


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pre_authenticated(payload: bytes) -> bytes:
    """Return what DSSE signs."""
    kind = b"application/vnd.in-toto+json"
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _der(tag: int, value: bytes) -> bytes:
    length = len(value)
    if length < 0x80:
        return bytes([tag, length]) + value
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + value


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_public(key)).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
