"""The stack's secrets: made once per data folder, and kept in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Keys:
    """Every secret of one data folder."""

    publishable_key: str
    secret_key: str
    # the private JSON Web Key (ES256) that signs users' access tokens
    signing_key: dict[str, str]
    superuser_password: str
    owner_password: str
    api_password: str
    auth_password: str
    # the password of the demo user that `make run` creates
    demo_password: str

    @classmethod
    def of(cls, path: Path) -> Keys:
        """Read the keys. If the file does not exist, make them first."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            keys = cls._generate()
            write_private(path, json.dumps(asdict(keys), indent=2))
            return keys

    @classmethod
    def _generate(cls) -> Keys:
        # the shape of a hosted project's keys: prefix, 22 random characters, a checksum of 8
        return cls(
            publishable_key=f"sb_publishable_{_random(22)}_{_random(8)}",
            secret_key=f"sb_secret_{_random(22)}_{_random(8)}",
            signing_key=_signing_key(),
            superuser_password=secrets.token_hex(16),
            owner_password=secrets.token_hex(16),
            api_password=secrets.token_hex(16),
            auth_password=secrets.token_hex(16),
            demo_password=_random(16),
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read. It is written completely or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def _random(length: int) -> str:
    # without "-" and "_", so that a double click selects the whole key and a shell needs no quotes
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _signing_key() -> dict[str, str]:
    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()

    def coordinate(value: int) -> str:
        return urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()

    return {
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "kid": str(uuid.uuid4()),
        "x": coordinate(numbers.public_numbers.x),
        "y": coordinate(numbers.public_numbers.y),
        "d": coordinate(numbers.private_value),
    }
