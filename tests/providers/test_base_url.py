"""Which base URLs are taken, the one form in which they are kept, and what is said of the others."""

from __future__ import annotations

import pytest

from app.providers.base_url import BadBaseUrl, BaseUrl

NO_URL = "be an http:// or https:// address"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/v1///", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080//a//v1", "http://127.0.0.1:8080/a/v1"),
        # others compare these as text: the issuer of a token is `https://<ref>.supabase.co/auth/v1`
        ("HTTPS://Ref.Supabase.CO:443/", "https://ref.supabase.co"),
        ("http://host:80/v1", "http://host/v1"),
        ("https://host:80/v1", "https://host:80/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("http://[2001:DB8::1]/v1", "http://[2001:db8::1]/v1"),
        # the names of services in Docker
        ("http://my_ollama:11434", "http://my_ollama:11434"),
        ("http://host.docker.internal:11434", "http://host.docker.internal:11434"),
        ("http://example.com./v1", "http://example.com./v1"),
        ("http://xn--bcher-kva.example/v1", "http://xn--bcher-kva.example/v1"),
        ("http://host/a%2Fb%20c/v1", "http://host/a%2Fb%20c/v1"),
        ("http://host/v1/acc:ount@x;p=1,2/gate~way", "http://host/v1/acc:ount@x;p=1,2/gate~way"),
        ("http://host/v1?api-version=2026-10-21", "http://host/v1?api-version=2026-10-21"),
        ("http://host/v1/?a=b%26c&a=/?d", "http://host/v1?a=b%26c&a=/?d"),
        ("http://host/v1?", "http://host/v1"),
    ],
)
def test_taken(text: str, kept: str) -> None:
    base = BaseUrl.parse(text)
    assert str(base) == kept
    assert BaseUrl.parse(kept) == base


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, NO_URL) for text in ("", "host:8080", "/v1", "//host/v1", "ftp://host")),
        *((text, NO_URL) for text in ("unix:///run/ollama.sock", "http+unix://%2Frun%2Fo")),
        *((text, NO_URL) for text in ("http://", "http:///v1", "http://:8080", "http:host")),
        *((text, NO_URL) for text in ("http://h:0", "http://h:65536", "http://h:p")),
        *((text, NO_URL) for text in ("http://[::1", "http://h/a\nb", "http://h/\x7f")),
        ("http://u:p@h/v1", "not hold a user name or a password"),  # pragma: allowlist secret
        *((text, "not hold a user name or a password") for text in ("http://u@h", "http://@h")),
        *((text, "not have a fragment") for text in ("http://h/v1#x", "http://h/v1#", "http://h/v1?a#b")),
        *(
            (text, "name a host")
            for text in ("http://a b/v1", "http://<ref>.supabase.co", "http://b\u00fccher.example")
        ),
        *((text, "name a host") for text in ("http://a..b", "http://.a", "http://-a", "http://a%20b", "http://h\\x")),
        *((text, "name a host") for text in ("http://127.1", "http://256.1.1.1", "http://127.0.0.1.", "http://1")),
        *((text, "name a host") for text in ("http://[fe80::1%25eth0]", "http://[v1.x]", "http://" + "a" * 64)),
        *((text, "write characters") for text in ("http://h/a b", "http://h/\u2026", "http://h/{x}", "http://h/%zz")),
        *((text, "write characters") for text in ("http://h/%2", "http://h?a b", 'http://h?a="b"', "http://h/a\\b")),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(BadBaseUrl, match=f"^{said}"):
        BaseUrl.parse(text)


def test_the_first_ending_that_fits_is_left_out() -> None:
    base = BaseUrl.parse("http://v1/proxy/v1?x=/v1")
    assert str(base.without(("/v1/messages", "/v1"))) == "http://v1/proxy?x=/v1"
    assert str(base.without(("/api",))) == str(base)
    assert str(BaseUrl.parse("http://v1").without(("/v1",))) == "http://v1"
