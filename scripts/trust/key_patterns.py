"""Keys that detect-secrets does not know: Parley's own, Supabase's, and those of the providers."""

from __future__ import annotations

import re

from detect_secrets.plugins.base import RegexBasedDetector


class ParleyKeys(RegexBasedDetector):
    secret_type = "Personal key of Parley"  # noqa: S105 - the name of a kind
    denylist = (re.compile(r"\bparley_[0-9A-Za-z]{49}\b"),)


class SupabaseKeys(RegexBasedDetector):
    secret_type = "Secret key or access token of Supabase"  # noqa: S105
    # a secret key has 22 random characters, a line and a checksum of 8; `role` is in the middle part of a legacy key
    denylist = (
        re.compile(r"\bsb_secret_[0-9A-Za-z_-]{22}_[0-9A-Za-z_-]{8}\b"),
        re.compile(r"\bsbp_[0-9a-f]{40}\b"),
        re.compile(r"\beyJ[\w-]{10,}\.[\w-]*InNlcnZpY2Vfcm9sZS[\w-]*\.[\w-]{43}\b"),
    )


class ProviderKeys(RegexBasedDetector):
    secret_type = "Key of a provider"  # noqa: S105
    denylist = (
        re.compile(r"\bsk-ant-[a-z]+\d\d-[\w-]{80,}"),
        re.compile(r"\bsk-(?:proj|svcacct|admin)-[\w-]{40,}"),
        re.compile(r"\bAIza[\w-]{35}\b"),
    )
