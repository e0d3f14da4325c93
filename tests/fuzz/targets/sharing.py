"""Texts and addresses of a stranger's recording, one a line, on their way into a shared copy: masked, made tokens, or through Crypto-PAn."""

from __future__ import annotations

import ipaddress

from analyzer.share.masking import MASKED, Masker, is_secret_flag, is_user_flag, takes_password_after_p, without_secrets
from analyzer.share.pseudonyms import Pseudonyms, packed
from recorder.schema import Kind
from tests.fuzz.target import Target

KEY = bytes(range(32))
PSEUDONYMS = Pseudonyms(KEY)
NAMES = {"web-1.example": "host-aaaaaaaaaaaaaaaa", "alice": "user-bbbbbbbbbbbbbbbb", "nginx": "prog-cccccccccc"}
MASKERS = (Masker(PSEUDONYMS, NAMES, hide_paths=True), Masker(PSEUDONYMS, {}, hide_paths=False))


def run(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for masker in MASKERS:
        masker(text)
    once = without_secrets(text)
    assert without_secrets(once) == once or len(once) < len(text) or MASKED in once
    lines = text.split("\n")
    for line in lines:
        is_secret_flag(line)
        is_user_flag(line)
        takes_password_after_p(line)
        PSEUDONYMS.network(line)
        PSEUDONYMS.token(Kind.FILE, line)
    for line, made in zip(lines, PSEUDONYMS.addresses(lines), strict=True):
        if packed(line) is not None:
            assert ipaddress.ip_address(made).version == ipaddress.ip_address(line).version


TARGET = Target(
    run,
    lambda: [
        b"curl -u alice:secret --password=hunter2 https://alice:pw@web-1.example/a?token=abc",
        b"10.1.2.3\n2001:db8::1\n::ffff:10.0.0.1\n10.0.0.0/8\nfe80::1%eth0\n",
        b"sh -c 'API_KEY=\"x y\" /home/alice/run --api-key AKIAABCDEFGHIJKLMNOP eyJhbGciOi.eyJzdWIi.c2ln'",
        b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
    words=(
        b"password",
        b"token=",
        b"a-" * 20,
        b"://",
        b"@",
        b"***",
        b"bearer ",
        b"A" * 64,
        b"-----BEGIN PRIVATE KEY-----",
        b"1.2.3.4/",
        b"::",
        b"/home/",
    ),
    examples=100,
)
