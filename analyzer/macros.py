"""Functions for reports that DuckDB does not have: SQL macros, made in each sandbox.

They are plain SQL, so that they run where no extension may be loaded, and need no Python per row. What depends only on a constant, such as
the bounds of a network, DuckDB computes once. The numbers are Linux's, whatever system the analyzer runs on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Macro:
    """One function that reports may call: its name, the names of its parameters, what it does, its SQL, and the macros that this uses."""

    name: str
    parameters: str
    doc: str
    sql: str
    parts: tuple[Macro, ...] = ()

    @property
    def signature(self) -> str:
        """Return how it is called, e.g. ``errno_name(n)``."""
        return f"{self.name}({self.parameters})"

    @property
    def definition(self) -> str:
        """Return the statements that make it and its parts."""
        return "; ".join(f"CREATE MACRO {macro.signature} AS {macro.sql}" for macro in (*self.parts, self))


# include/uapi/asm-generic/errno-base.h and errno.h, in order from 1; the two empty ones are EWOULDBLOCK's and EDEADLOCK's old places.
_ERRNO = """
EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR
EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP -
ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA
ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC
ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS
EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL
EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL
EHWPOISON
"""

# include/linux/errno.h, in order from 512: of the kernel alone, but tracers see them.
_KERNEL_ERRNO_FIRST = 512
_KERNEL_ERRNO = """
ERESTARTSYS ERESTARTNOINTR ERESTARTNOHAND ENOIOCTLCMD ERESTART_RESTARTBLOCK EPROBE_DEFER EOPENSTALE ENOPARAM - EBADHANDLE ENOTSYNC EBADCOOKIE
ENOTSUPP ETOOSMALL ESERVERFAULT EBADTYPE EJUKEBOX EIOCBQUEUED ERECALLCONFLICT ENOGRACE
"""

# arch/x86/include/uapi/asm/signal.h and asm-generic's, in order from 1. 32 and 33 are the C library's own; 34 to 64 are named as by `kill -l`.
_SIGNALS = """
SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT
SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS - -
"""
_REAL_TIME = ["SIGRTMIN", *(f"SIGRTMIN+{n}" for n in range(1, 16)), *(f"SIGRTMAX-{n}" for n in range(14, 0, -1)), "SIGRTMAX"]

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP = "[0-9A-Fa-f]{1,4}"


def _v6(groups: int) -> str:
    """Return a pattern for so many groups of an IPv6 address, ``::`` in place of one or more of them."""
    shortened = ["::" + _up_to(groups - 1)]
    shortened += [f"{_GROUP}(?::{_GROUP}){{{left - 1}}}::{_up_to(groups - 1 - left)}" for left in range(1, groups)]
    return "(?:" + "|".join([f"{_GROUP}(?::{_GROUP}){{{groups - 1}}}", *shortened]) + ")"


def _up_to(groups: int) -> str:
    return f"(?:{_GROUP}(?::{_GROUP}){{0,{groups - 1}}})?" if groups else ""


def _v6_with_v4() -> str:
    """Return a pattern for what stands before the IPv4 address at the end of an IPv6 one: six groups, and a colon."""
    shortened = [f"::(?:{_GROUP}:){{0,5}}"]
    shortened += [f"(?:{_GROUP}:){{{left}}}:(?:{_GROUP}:){{0,{5 - left}}}" for left in range(1, 6)]
    return "(?:" + "|".join([f"(?:{_GROUP}:){{6}}", *shortened]) + ")"


_V6 = f"(?:{_v6(8)}|{_v6_with_v4()}{_V4})"
_CIDR = rf"(?:{_V4}(?:/(?:3[0-2]|[12]?[0-9]))?|{_V6}(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)"

_NO_CIDR = "is no address and no network in CIDR notation"
_CIDR_HINT = "Write a network as 10.0.0.0/8 or 2001:db8::/32, without spaces."


def _named(kind: str, names: list[str], zero: str) -> str:
    """Return SQL that takes a number's name from a list; ``kind`` and the number stand for one that has none."""
    number = "CAST(n AS BIGINT)"
    name = f"string_split('{' '.join(names)}', ' ')[CASE WHEN {number} BETWEEN 1 AND {len(names)} THEN {number} END]"
    return f"CASE WHEN {number} = 0 THEN {zero} ELSE coalesce(nullif({name}, '-'), '{kind} ' || {number}) END"


_ERRNO_NAMES = [*_ERRNO.split(), *["-"] * (_KERNEL_ERRNO_FIRST - 1 - len(_ERRNO.split())), *_KERNEL_ERRNO.split()]
_SIGNAL_NAMES = [*_SIGNALS.split(), *_REAL_TIME]

# In a filter DuckDB computes an expression as often as it is written. So what is used more than once is the one element of a list, named by a lambda.

# What the digits are taken from: the address, one in no network where the family is the other, NULL for what is no address.
_V4_TEXT = f"CASE WHEN regexp_full_match(ip, '{_V4}') THEN ip WHEN regexp_full_match(ip, '{_V6}') THEN '256.0.0.0' END"
_V6_TEXT = f"""CASE WHEN regexp_full_match(ip, '{_V4}') THEN 'none' WHEN NOT regexp_full_match(ip, '{_V6}') THEN NULL
    WHEN contains(ip, '.') THEN _ipv6_hexadecimal(ip) ELSE lower(ip) END"""

_V4_NUMBER = """list_transform([string_split(ip, '.')], lambda octets: CAST(octets[1] AS BIGINT) * 16777216 + CAST(octets[2] AS BIGINT) * 65536
    + CAST(octets[3] AS BIGINT) * 256 + CAST(octets[4] AS BIGINT))[1]"""

# The 32 digits of an IPv6 address. As many zero groups stand for :: as make eight of them.
_V6_DIGITS = """list_aggregate(list_transform(string_split(list_transform([ip],
    lambda a: replace(a, '::', repeat(':0', 8 - length(a) + length(replace(a, ':', ''))) || ':'))[1], ':'),
    lambda g: lpad(g, 4, '0')), 'string_agg', '')"""

# An IPv6 address that ends in an IPv4 one, in hexadecimal digits alone.
_V6_HEXADECIMAL = """lower(regexp_extract(ip, '.*:')) || format('{:x}:{:x}',
    _ipv4_number(regexp_extract(ip, '[0-9.]*$')) // 65536, _ipv4_number(regexp_extract(ip, '[0-9.]*$')) % 65536)"""

# An IPv4 network is a range of numbers of one size. An IPv6 one is all addresses that begin with certain digits: they stand in one text, since DuckDB
# makes of a list's list_contains() as many comparisons, and computes the address's digits for each.
_V4_NETWORK = "_ipv4_number(_cidr_address(cidr)) // _ipv4_size(cidr)"
_V6_NETWORK = """list_aggregate(list_transform(range(16 // _ipv6_share(cidr)),
    lambda _nth: left(_ipv6_digits(_ipv6_text(_cidr_address(cidr))), _ipv6_length(cidr) - 1) || format('{:x}',
    (instr('0123456789abcdef', _ipv6_digits(_ipv6_text(_cidr_address(cidr)))[_ipv6_length(cidr)]) - 1)
    // (16 // _ipv6_share(cidr)) * (16 // _ipv6_share(cidr)) + _nth)), 'string_agg', ' ')"""

_IN_CIDR = f"""CASE WHEN cidr IS NULL THEN NULL
    WHEN NOT regexp_full_match(cidr, '{_CIDR}') THEN error('in_cidr(): ' || cidr || ' {_NO_CIDR}.\n{_CIDR_HINT}')
    WHEN contains(cidr, ':') THEN contains(_ipv6_network(cidr), left(_ipv6_digits(_ipv6_text(ip)), _ipv6_length(cidr)))
    ELSE _ipv4_number(_ipv4_text(ip)) // _ipv4_size(cidr) = _ipv4_network(cidr) END"""


def _part(name: str, parameters: str, sql: str) -> Macro:
    return Macro(name, parameters, "", sql)


_CIDR_PARTS = (
    _part("_ipv4_text", "ip", _V4_TEXT),
    _part("_ipv4_number", "ip", _V4_NUMBER),
    _part("_ipv6_hexadecimal", "ip", _V6_HEXADECIMAL),
    _part("_ipv6_text", "ip", _V6_TEXT),
    _part("_ipv6_digits", "ip", _V6_DIGITS),
    _part("_cidr_address", "cidr", "regexp_extract(cidr, '[^/]*')"),
    _part("_cidr_bits", "cidr, longest", "coalesce(TRY_CAST(regexp_extract(cidr, '/(.*)', 1) AS BIGINT), longest)"),
    # How many addresses an IPv4 network has. How many digits tell an IPv6 one, and how many networks share all of these but the last.
    _part("_ipv4_size", "cidr", "CAST(pow(2, 32 - _cidr_bits(cidr, 32)) AS BIGINT)"),
    _part("_ipv6_length", "cidr", "greatest(_cidr_bits(cidr, 128) - 1, 0) // 4 + 1"),
    _part("_ipv6_share", "cidr", "CAST(pow(2, _cidr_bits(cidr, 128) - 4 * (_ipv6_length(cidr) - 1)) AS BIGINT)"),
    _part("_ipv4_network", "cidr", _V4_NETWORK),
    _part("_ipv6_network", "cidr", _V6_NETWORK),
)

_MACROS = (
    Macro(
        "in_cidr",
        "ip, cidr",
        "whether an address is in a network, as in `in_cidr(daddr, '10.0.0.0/8')`. IPv4 and IPv6; false where the families differ, NULL for what "
        "is no address. Bits of the network's address beyond its length do not count; without a length it is that one address.",
        _IN_CIDR,
        _CIDR_PARTS,
    ),
    Macro(
        "errno_name",
        "n",
        "the name of an errno on Linux: 111 is `ECONNREFUSED`, 0 is `OK`, one without a name is `errno 999`.",
        _named("errno", _ERRNO_NAMES, "'OK'"),
    ),
    Macro(
        "signal_name",
        "n",
        "the name of a signal on Linux (x86, arm): 9 is `SIGKILL`, 35 is `SIGRTMIN+1`, one without a name is `signal 99`.",
        _named("signal", _SIGNAL_NAMES, "'signal 0'"),
    ),
)

MACROS: dict[str, Macro] = {macro.name: macro for macro in _MACROS}
"""The functions that reports may call besides DuckDB's, by name."""


def cidr_fault(text: str) -> tuple[str, str] | None:
    """Return what is wrong with ``text`` as a network in CIDR notation and what to do, or None where it is one.

    A network that is written into a report is looked at before the report runs: over no rows the macro would say nothing.
    """
    return None if re.fullmatch(_CIDR, text) else (f"'{text}' {_NO_CIDR}", _CIDR_HINT)
