# SPDX-License-Identifier: Apache-2.0
"""Every error memir raises on purpose, in one tree.

::

    MemirError                      exit 3 unless a class below says otherwise
    ├── UsageError                  exit 2   the command line or an option's value is wrong
    ├── EvidenceError               exit 3   what was given cannot be analysed as it is
    │   ├── ImageError                       the file is not an image memir can read
    │   │   ├── ImageFormatError             wrong magic, absurd lengths, overlapping ranges
    │   │   ├── TruncatedImageError          bytes promised by a header are not there
    │   │   ├── ChangedImageError            the file changed while it was read
    │   │   └── AbsentMemoryError            these physical addresses are not in the image
    │   ├── SymbolsError                     the kernel's types or addresses cannot be had
    │   │   ├── BtfError                     BTF absent or malformed
    │   │   ├── KallsymsError                kallsyms absent or malformed
    │   │   ├── IsfError                     the ISF given cannot be used
    │   │   └── KernelNotFoundError          no Linux kernel found in the image
    │   ├── KernelError                      a kernel structure memir cannot do without is unreadable
    │   ├── ClusterError                     a Kubernetes API snapshot cannot be used
    │   ├── LogsError                        a log of a cluster or an account cannot be read
    │   ├── PlanError                        a response plan cannot be read
    │   ├── RulesError                       YARA rules that do not compile
    │   ├── CaseError                        a case folder cannot be read or written
    │   └── CustodyError                     an evidence folder's record does not hold
    ├── RemoteError                 exit 4   a node, AWS or Kubernetes did not do as asked
    │   ├── ConnectError                     not reachable, host key refused, lost
    │   ├── AccessError                      credentials or permissions are missing
    │   ├── NodeError                        the node cannot be acquired as asked
    │   ├── StateError                       what a plan changes is not as the plan says
    │   ├── StorageError                     the sink refused or lost bytes
    │   └── PartialError                     the evidence is kept, but not complete
    ├── OutputError                 exit 3   standard output cannot be written (a full disk)
    └── Interrupted                 exit 130 stopped by the user, partial work kept

Any other exception is a fault of memir's: exit 70. A message says what was wrong, where (path, offset, address) and
what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

EXIT_DONE = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_EVIDENCE = 3
EXIT_REMOTE = 4
EXIT_UNSIGNED = 5
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130

PRECEDENCE = (EXIT_INTERRUPTED, EXIT_INTERNAL, EXIT_USAGE, EXIT_REMOTE, EXIT_EVIDENCE, EXIT_UNSIGNED, EXIT_FINDINGS)
"""Which exit code is given if several apply: the first of these."""


def no_kernel(path: object, what: str) -> UsageError:
    """What is said where a part of a node is asked for what only its kernel knows. what: `a collected pod`."""
    return UsageError(f"{path} is {what}, which has no kernel: `memir analyze` and `memir hunt` take it")


def worst(codes: Iterable[int]) -> int:
    """The exit code of a command to which several apply; 0 for none. A code that is not memir's own counts as 70."""
    known = {code if code in PRECEDENCE or code == EXIT_DONE else EXIT_INTERNAL for code in codes}
    return next((code for code in PRECEDENCE if code in known), EXIT_DONE)


class MemirError(Exception):
    """Base of all errors that memir raises on purpose."""

    exit_code = EXIT_EVIDENCE


class UsageError(MemirError):
    """The command line or an option's value is wrong."""

    exit_code = EXIT_USAGE


class EvidenceError(MemirError):
    """What was given cannot be analysed as it is."""


class ImageError(EvidenceError):
    """The file is not an image memir can read."""


class ImageFormatError(ImageError):
    """Wrong magic, absurd lengths, overlapping or unordered ranges."""


class TruncatedImageError(ImageError):
    """Bytes that a header promises are not in the file."""


class ChangedImageError(ImageError):
    """The file changed while it was read."""


class AbsentMemoryError(ImageError):
    """The physical addresses asked for are not in the image."""


class SymbolsError(EvidenceError):
    """The kernel's types or addresses cannot be had."""


class BtfError(SymbolsError):
    """BTF is absent or malformed."""


class KallsymsError(SymbolsError):
    """The kallsyms tables are absent or malformed."""


class IsfError(SymbolsError):
    """The ISF given cannot be used."""


class KernelNotFoundError(SymbolsError):
    """No Linux kernel was found in the image."""


class KernelError(EvidenceError):
    """A kernel structure that memir cannot do without is unreadable."""


class ClusterError(EvidenceError):
    """A Kubernetes API snapshot cannot be used."""


class LogsError(EvidenceError):
    """A log of a cluster or an account cannot be read."""


class PlanError(EvidenceError):
    """A response plan cannot be read."""


class RulesError(EvidenceError):
    """YARA rules that do not compile."""


class CaseError(EvidenceError):
    """A case folder cannot be read or written."""


class CustodyError(EvidenceError):
    """An evidence folder's record does not hold."""


class RemoteError(MemirError):
    """A node, AWS or Kubernetes did not do as asked."""

    exit_code = EXIT_REMOTE


class ConnectError(RemoteError):
    """A host is not reachable, its key is refused, or the connection was lost."""


class AccessError(RemoteError):
    """Credentials or permissions are missing."""


class NodeError(RemoteError):
    """The node cannot be acquired as asked."""


class StateError(RemoteError):
    """What a plan changes is not as the plan says; nothing more is done."""


class StorageError(RemoteError):
    """The sink refused or lost bytes."""


class PartialError(RemoteError):
    """The evidence is kept, but it is not complete."""


class OutputError(MemirError):
    """Standard output, or a folder for what is extracted, cannot be written."""


class Interrupted(MemirError):  # noqa: N818  (named for what happened, as KeyboardInterrupt is)
    """Stopped by the user; partial work is kept."""

    exit_code = EXIT_INTERRUPTED
