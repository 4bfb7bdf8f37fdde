"""Output of `apt-cache policy` as machines print it, with a mirror of the tests."""

from __future__ import annotations

BOOKWORM = """\
Package files:
 100 /var/lib/dpkg/status
     release a=now
 500 http://mirror.test/debian-security bookworm-security/main amd64 Packages
     release v=12,o=Debian,a=oldstable-security,n=bookworm-security,l=Debian-Security,c=main,b=amd64
     origin mirror.test
 500 http://mirror.test/debian bookworm-updates/main amd64 Packages
     release v=12-updates,o=Debian,a=oldstable-updates,n=bookworm-updates,l=Debian,c=main,b=amd64
     origin mirror.test
 500 http://mirror.test/debian bookworm/non-free amd64 Packages
     release v=12.15,o=Debian,a=oldstable,n=bookworm,l=Debian,c=non-free,b=amd64
     origin mirror.test
 500 http://mirror.test/debian bookworm/main amd64 Packages
     release v=12.15,o=Debian,a=oldstable,n=bookworm,l=Debian,c=main,b=amd64
     origin mirror.test
"""
PINNED_TESTING = """\
  90 http://mirror.test/debian testing/main amd64 Packages
     release o=Debian,a=testing,n=forky,l=Debian,c=main,b=amd64
     origin mirror.test
"""
BACKPORTS = """\
 100 http://mirror.test/debian bookworm-backports/main amd64 Packages
     release v=12,o=Debian Backports,a=oldstable-backports,n=bookworm-backports,l=Debian Backports,c=main,b=amd64
     origin mirror.test
"""
THIRD_PARTY = """\
 500 https://packages.vendor.test/debian bookworm/main amd64 Packages
     release v=99,o=Vendor,a=bookworm,n=bookworm,l=Vendor,c=main,b=amd64
     origin packages.vendor.test
"""
PINNED = "Pinned packages:\n"

SOURCES_DEB822 = """\
# The mirror of the tests
Types: deb deb-src
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main non-free
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian.gpg
"""
SOURCES_ONE_LINE = """\
# comment
deb-src http://mirror.test/debian bookworm main
deb [signed-by=/usr/share/keyrings/debian.gpg arch=amd64,arm64] http://mirror.test/debian/ bookworm main # kept
deb http://mirror.test/debian-security bookworm-security main
deb http://mirror.test/debian bookworm-updates main
"""
SOURCES_WITH_KEY = """\
Types: deb
URIs: https://user:secret@mirror.test/debian
Suites: bookworm
Components: main
Snapshot: 20250520T000000Z
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBFe
 -----END PGP PUBLIC KEY BLOCK-----
"""
