"""Secrets never shown: values known from environments, and whatever in a text looks like a password or a token.

What has read an environment (of a container, a pod, a Compose file) tells it to `learn`; from then on `mask_secrets`
hides its secret values in every text: the value itself, and as JSON, percent-encoded and base64. A value is secret by
its variable's name (`is_secret_name`, and `[mask]` of devenv.toml), or as the password of an address with one:

[mask]
names = ["*_DSN"]            # more names of secrets: shell patterns, upper and lower case are the same
keep = ["SORT_KEY"]          # names that hold no secret

Known values are hidden wherever they stand, so that those are left out which would hide other words: values of fewer
than 6 characters, a few common ones (`true`, `postgres`, `password`), and a plain word that another variable of the
same environment has openly (POSTGRES_USER=shop beside POSTGRES_PASSWORD=shop). Beside their name they are hidden all
the same.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import quote, unquote

from msgspec import Struct

from devenv.core.text import sanitize

MASK: Final = "••••"
SHORTEST: Final = 6  # characters of a value that is hidden wherever it stands
LONGEST: Final = 8_192  # characters of a value: a longer one is a document
MOST_VALUES: Final = 4_000  # known at a time: the newest ones

_SECRET_NAME: Final = re.compile(
    r"passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|credential", re.IGNORECASE
)
# Words that make a name a secret's only where they end it: `session_key_length` and `first_pass_rate` name none.
SECRET_ENDING: Final = (
    r"(?:pwd|passcode|pass[_.-]word|passwort|(?<![a-z0-9])(?:psk|(?:github|gitlab|gh|azure)[_.-]pat)"
    r"|(?:[_.-]|admin|bind|db|ftp|key|ldap|mail|mongo|mysql|redis|root|smtp|sql|store|user)pass"
    r"|(?:[_.-]|admin|db|root|user)pw|(?:basic|http|proxy|redis(?:cli)?)[_-]?auth"
    r"|(?:access|account|aes|api|app|auth|client|cookie|encrypt(?:ion)?|fernet|hmac|jwt|master|private|secret|session"
    r"|shared|signing|storage|(?<![a-z0-9])(?:cipher|crypt|csrf|decrypt(?:ion)?|deploy|licen[cs]e|openai|server|service"
    r"|sign|ssh))[_.-]?keys?)"
)
_ENDS: Final = re.compile(rf"{SECRET_ENDING}$", re.IGNORECASE)
_KEY: Final = re.compile(r"(?:^|_)(?:KEYS?|(?:PG)?PASS|PW)(?:$|_)")  # of a variable of an environment, written as such
# Names that say something about a secret: where it is, how long it lives or is.
_ABOUT: Final = re.compile(r"[_.-](?:file|path|dir|ttl|expir\w*|length|size|algorithm|timeout|count)$", re.IGNORECASE)
_ASSIGNED: Final = re.compile(r"(?<![\w.-])(?P<name>[\w.-]++)[\"']?\s*[=:]\s*")
_VALUE: Final = r"(?:\"[^\"]*\"|'[^']*'|[^\s,;\"']+)"
# A file, a count, a state or nothing is no secret, whatever its name; what is masked is not masked again.
_HARMLESS: Final = (
    r"\"\"|''|[\"']?(?:[/~$•]|[\w.-]+\.(?:pem|key|crt|pub)\b|[0-9]{1,3}(?![\w.-])|(?i:true|false|null|none)\b)"
)
_ANY_VALUE: Final = re.compile(_VALUE)
_SECRET_VALUE: Final = re.compile(rf"(?!{_HARMLESS}){_VALUE}")
_URL_PASSWORD: Final = re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@]*:)(?P<hide>[^\s@/]+)(?=@)")
_BEARER: Final = re.compile(r"(?P<keep>(?i:\b(?:bearer|basic))\s+)(?P<hide>[A-Za-z0-9._~+/-]{8,}=*)")
_SHAPE: Final = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}")
# What every name of a secret has in it, for a look that costs a microsecond: most lines of a log have none of it.
_WORDS: Final = ("pass", "secret", "token", "key", "cred", "pwd", "auth", "psk", "pw", "_pat", "-pat", ".pat")
_SETTING: Final = re.compile(r"(?:^|[;?&\s])(?:password|passwd|pwd|accountkey)\s*=\s*([^\s;&'\"]+)", re.IGNORECASE)
_COMMON: Final = re.compile(
    r"admin|change-?me|default|development|disabled|enabled|example|guest|localhost|minioadmin|optional|password|postgres"
    r"|production|rabbitmq|required|secrets?|string|testing|username",
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"(?:~|\.{0,2})(?:/[a-z0-9_.@-]+){2,}")
_PLAIN_WORD: Final = re.compile(r"[a-z][a-z_-]*")


class MaskSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The `[mask]` table of devenv.toml: shell patterns of names."""

    names: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What a text has in it, in lower case, where it may have one of `names`."""
        return tuple(max(re.split(r"[*?\[\]]", name.casefold()), key=len) for name in self.names)

    def says(self, name: str) -> bool | None:
        """Whether a variable of that name is a secret; None where neither list has it."""
        folded = name.casefold()
        if any(fnmatchcase(folded, pattern.casefold()) for pattern in self.keep):
            return False
        return True if any(fnmatchcase(folded, pattern.casefold()) for pattern in self.names) else None


class KnownValues:
    """The secret values of all environments that were read. One thread at a time learns, any number masks."""

    def __init__(self, settings: MaskSettings | None = None) -> None:
        self.settings = settings or MaskSettings()
        self._values: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def learn(self, environment: Iterable[tuple[str, str]], *, all_secret: bool = False) -> None:
        """Take in the variables of one environment, by name and value; all of a Secret are secret."""
        fresh = dict.fromkeys(secret_values(environment, self.settings, all_secret=all_secret))
        with self._lock:
            if fresh.keys() <= self._values.keys():
                return
            kept = list(self._values | fresh)[-MOST_VALUES:]
            self._values = dict.fromkeys(kept)
            # The longest first: of two values, one may begin with the other.
            self._pattern = re.compile(_alternation(sorted(kept, key=len, reverse=True), 2))

    def hide(self, text: str) -> str:
        """Replace each known value in the text with a mask."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def is_secret_name(self, name: str) -> bool:
        """Whether what has this name is a secret: by `[mask]`, else as *TOKEN*, *PASSWORD*, *SECRET* and *KEY* are."""
        return _is_secret_name(name, self.settings)


def _alternation(values: Iterable[str], levels: int) -> str:
    """Write values as one pattern, grouped by their first letters: hundreds cost a search no more than a few."""
    if not levels:
        return "|".join(map(re.escape, values))
    groups: dict[str, list[str]] = {}
    for value in values:
        groups.setdefault(value[:1], []).append(value[1:])
    return "|".join(f"{re.escape(first)}(?:{_alternation(rest, levels - 1)})" for first, rest in groups.items())


KNOWN = KnownValues()  # of this process: whatever shows or writes a text masks by it


def learn(environment: object, *, all_secret: bool = False) -> None:
    """Hide the secret values of an environment from now on: a mapping, or the engine's list of `NAME=value` texts."""
    if isinstance(environment, list):
        environment = dict(entry.partition("=")[::2] for entry in environment if isinstance(entry, str))
    if isinstance(environment, Mapping):
        pairs = ((str(name), str(value)) for name, value in environment.items() if value is not None)
        KNOWN.learn(pairs, all_secret=all_secret)


def mask_by(settings: MaskSettings) -> None:
    """Let these settings say what is learnt and masked from now on."""
    KNOWN.settings = settings


def shown_value(name: str, value: str) -> str:
    """Return the value of a variable as it may be shown."""
    return MASK if value and KNOWN.is_secret_name(name) else mask_secrets(value)


def mask_values(text: str) -> str:
    """Replace known secret values: for what is JSON, XML or HTML already, which nothing else may be taken out of."""
    return KNOWN.hide(text)


def mask_secrets(text: str) -> str:
    """Replace known secret values, and what looks like one: `name=value`, URL passwords, tokens with a known shape."""
    text = KNOWN.hide(text)
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<keep>{MASK}", text)
    if "eyJ" in text or "AKIA" in text or "gh" in text:
        text = _SHAPE.sub(MASK, text)
    folded = text.lower()
    if "bearer" in folded or "basic" in folded:
        text = _BEARER.sub(rf"\g<keep>{MASK}", text)
    for word in (*_WORDS, *KNOWN.settings.words):
        if word in folded:
            break
    else:
        return text
    parts, done = [], 0
    for match in _ASSIGNED.finditer(text):
        value = _assigned(match["name"], text, match.end()) if match.start() >= done else None
        if value:
            parts += [text[done : match.end()], MASK]
            done = value.end()
    return "".join([*parts, text[done:]])


def mask_texts(data: Any) -> Any:
    """Return plain data (as JSON has it) with `mask_secrets` done to every text in it; keys and the rest stay."""
    if isinstance(data, str):
        return mask_secrets(data)
    if isinstance(data, dict):
        return {key: mask_texts(value) for key, value in data.items()}
    return [mask_texts(value) for value in data] if isinstance(data, list | tuple) else data


def _assigned(name: str, text: str, at: int) -> re.Match[str] | None:
    """Return the secret that stands there in the text, behind that name."""
    says = KNOWN.settings.says(name)
    if says is False:
        return None
    if says or _SECRET_NAME.search(name):
        return _ANY_VALUE.match(text, at)
    return _SECRET_VALUE.match(text, at) if _ENDS.search(name) or (_KEY.search(name) and "_" in name) else None


def _is_secret_name(name: str, settings: MaskSettings) -> bool:
    says = settings.says(name)
    if says is not None:
        return says
    by_name = _SECRET_NAME.search(name) or _ENDS.search(name) or _KEY.search(name.upper())
    return by_name is not None and _ABOUT.search(name) is None


def secret_values(
    environment: Iterable[tuple[str, str]], settings: MaskSettings, *, all_secret: bool = False
) -> Iterator[str]:
    """Yield what of an environment is to be hidden wherever it stands, in every form in which it is usually written."""
    variables = [(value, all_secret or _is_secret_name(name, settings)) for name, value in environment]
    open_words = {value for value, is_secret in variables if not is_secret}
    for value, is_secret in variables:
        if len(value) > LONGEST:
            continue
        secrets = [match["hide"] for match in _URL_PASSWORD.finditer(value)]
        secrets += [match[1] for match in _SETTING.finditer(value)]
        for secret in (*secrets, *((value,) if is_secret else ())):
            if secret in open_words and _PLAIN_WORD.fullmatch(secret):
                continue
            for form in _forms(secret):
                if len(form) >= SHORTEST and not _COMMON.fullmatch(form) and not _PATH.fullmatch(form):
                    yield form


def _forms(secret: str) -> Iterator[str]:
    """Yield a value line by line, as a screen has it, and encoded as it is sent and stored."""
    import html  # deferred: its table of names costs a start 2 ms

    plain = unquote(secret)
    for text in dict.fromkeys((secret, plain)):
        # Of a key in PEM, only the lines between its first and last are a secret.
        yield from (line for line in map(str.strip, sanitize(text, newlines=True).splitlines()) if line[:5] != "-----")
        yield quote(text, safe="")
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield html.escape(text)
        if len(text) >= SHORTEST:
            yield base64.b64encode(text.encode("utf-8", "replace")).decode("ascii").rstrip("=")
