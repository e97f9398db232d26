"""Where packages come from: what pip is configured for is what uv does, on real indexes, proxies and certificates."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scripts.install.package_index import PackageIndex, settings_of, uses_system_certificates
from scripts.install.python_packages import sync
from scripts.install.steps import InstallError
from tests.install.conftest import PROGRAMS
from tests.install.index import Index, wheel

PACKAGE = wheel("wanted", "1.0")
REBUILT = wheel("wanted", "1.0", text="# the same version, built by somebody else")
NOWHERE = "http://127.0.0.1:9/simple"


class Target:
    """An environment that has uv, and a lock with one package."""

    def __init__(self, folder: Path) -> None:
        self.environment = folder / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.environment], check=True)
        (self.environment / "bin" / "uv").symlink_to(PROGRAMS / "uv")
        self.lock = folder / "lock"
        self.lock.write_text(PACKAGE.locked)

    def install(self, **settings: str) -> None:
        """Install from where pip's `settings` say. Raises InstallError."""
        sync(
            self.environment, self.lock, PackageIndex({key.replace("_", "-"): settings[key] for key in settings}, False)
        )
        assert list(self.environment.glob("lib/python*/site-packages/wanted-1.0.dist-info"))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


@pytest.fixture
def index() -> Iterator[Index]:
    with Index(PACKAGE) as running:
        yield running


@pytest.fixture
def other() -> Iterator[Index]:
    """A second index; empty."""
    with Index() as running:
        yield running


def test_index_of_pip_is_the_only_one_asked(target: Target, index: Index, other: Index) -> None:
    target.install(index_url=index.url, extra_index_url=other.url)
    assert index.asked == ["wanted", PACKAGE.file]
    assert other.asked == []


def test_further_index_is_asked_where_the_index_lacks_a_package(target: Target, index: Index, other: Index) -> None:
    target.install(index_url=other.url, extra_index_url=f"\n{index.url}\n{index.url}")
    assert PACKAGE.file in index.asked


def test_further_index_out_of_reach_or_with_its_own_builds_does_not_matter(
    target: Target, index: Index, other: Index
) -> None:
    other.wheels.append(REBUILT)
    target.install(index_url=index.url, extra_index_url=f"{other.url} {NOWHERE}", retries="0")


def test_further_index_with_its_own_builds_is_passed_over_where_the_index_lacks_a_package(
    target: Target, index: Index, other: Index
) -> None:
    other.wheels.append(REBUILT)
    with Index() as empty:
        target.install(index_url=empty.url, extra_index_url=f"{index.url} {other.url}")


def test_folder_of_wheels_may_be_missing(target: Target, index: Index, tmp_path: Path) -> None:
    target.install(index_url=index.url, find_links=f"{tmp_path}/missing")


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/missing {}"])
def test_folder_of_wheels_does_without_an_index(target: Target, tmp_path: Path, form: str) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / PACKAGE.file).write_bytes(PACKAGE.content)
    target.install(index_url=NOWHERE, no_index="yes", find_links=form.replace("{}", str(tmp_path / "wheels")))


def test_folder_of_wheels_is_not_believed_without_its_hash(target: Target, tmp_path: Path) -> None:
    (tmp_path / REBUILT.file).write_bytes(REBUILT.content)
    with pytest.raises(InstallError):
        target.install(no_index="1", find_links=str(tmp_path))


def test_users_own_uv_settings_win(target: Target, index: Index, other: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX_URL", index.url)
    target.install(index_url=other.url, extra_index_url=other.url, no_index="1", timeout="1")
    assert other.asked == []


def test_proxy_of_pip_is_used(target: Target, index: Index) -> None:
    target.install(index_url="http://packages.invalid/simple", proxy=f"http://{index.host}")
    assert set(index.hosts) == {"packages.invalid"}


class Authority:
    """A certificate authority of a company, and an index behind a certificate of it."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certificate, private)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure(authority: Authority) -> Iterator[Index]:
    with Index(PACKAGE, tls=authority.tls) as running:
        yield running


def test_certificate_of_pip_is_trusted(target: Target, secure: Index, authority: Authority) -> None:
    target.install(index_url=secure.url, cert=str(authority.certificate))


def test_certificate_that_requests_is_told_is_trusted(
    target: Target, secure: Index, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    target.install(index_url=secure.url)


def test_trusted_host_of_pip_needs_no_certificate(target: Target, secure: Index) -> None:
    target.install(index_url=secure.url, trusted_host="elsewhere.invalid 127.0.0.1")


def test_unknown_certificate_is_not_trusted(target: Target, secure: Index, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InstallError):
        target.install(index_url=secure.url, retries="0")
    assert "certificate" in capfd.readouterr().err


def test_cache_that_cannot_be_written_is_done_without(
    target: Target, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_NO_CACHE")
    monkeypatch.setenv("UV_CACHE_DIR", "/proc/version/cache")
    target.install(index_url=index.url)


CONFIGURED = """
[global]
quiet = 3
index_url = http://global.invalid/simple
trusted-host =
    one.invalid
    two.invalid
target = /elsewhere
user = true
constraint = /nowhere.txt
[install]
index-url = http://install.invalid/simple
require-virtualenv = true
[download]
proxy = http://download.invalid
"""


def test_pips_files_and_variables_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(CONFIGURED)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "7.5")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "")
    monkeypatch.setenv("PIP_QUIET", "3")
    monkeypatch.setenv("PIP_PYTHON", "/nowhere/python")
    monkeypatch.setenv("PIP_PREFIX", "/elsewhere")
    monkeypatch.delenv("PIP_NO_CACHE_DIR")
    found = PackageIndex.of_pip(Path(sys.executable))
    # the machine's own files count, too
    assert found.settings.items() >= {
        ("index-url", "http://install.invalid/simple"),
        ("trusted-host", "\none.invalid\ntwo.invalid"),
        ("default-timeout", "7.5"),
    }
    assert not {"target", "user", "constraint", "require-virtualenv", "prefix", "python", "quiet"} & set(found.settings)
    assert "download.invalid" not in found.settings.get("proxy", "")
    assert found.uv_variables().items() >= {
        ("UV_DEFAULT_INDEX", "http://install.invalid/simple"),
        ("UV_INSECURE_HOST", "one.invalid two.invalid"),
        ("UV_HTTP_TIMEOUT", "8"),
    }


def test_file_that_pip_cannot_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("index-url = outside of any section")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    with pytest.raises(InstallError, match=r"pip\.conf"):
        PackageIndex.of_pip(Path(sys.executable))


def test_newer_pips_list_every_file_and_the_last_one_counts() -> None:
    listing = "global.timeout='1'\nglobal.retries='2'\nglobal.timeout='3'\n:env:.timeout='4'\n"
    assert settings_of(listing, {}) == {"timeout": "3", "retries": "2"}


@pytest.mark.parametrize(
    ("version", "settings", "system"),
    [
        ("23.2.1", {}, False),
        ("24.1", {}, False),
        ("24.2", {}, True),
        ("26.0.dev1", {}, True),
        ("23.2.1", {"use-feature": "truststore"}, True),
        ("25.3", {"use-deprecated": "legacy-certs"}, False),
    ],
)
def test_uv_trusts_the_systems_certificates_where_pip_does(
    version: str, settings: dict[str, str], system: bool, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    assert uses_system_certificates(version, settings) is system
    expected = "true" if system else None
    assert PackageIndex({}, system).uv_variables().get("UV_SYSTEM_CERTS") == expected


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' stores are no files")
def test_system_without_certificates_has_none_to_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert uses_system_certificates("26.2", {}) is False
