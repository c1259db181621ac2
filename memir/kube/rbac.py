# SPDX-License-Identifier: Apache-2.0
"""What RBAC lets a user do, by the roles and bindings that the API server had.

As pkg/registry/rbac/validation/rule.go of kubernetes/kubernetes: a ClusterRoleBinding gives its role everywhere, a
RoleBinding (of a Role or a ClusterRole) in its namespace. An aggregated ClusterRole's rules are filled in by the
controller; where the copy has none yet, those of the roles that it selects are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Objects = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""Objects of the API by (kind, namespace, name)."""
_DEFAULTS = frozenset({
    "system:basic-user", "system:discovery", "system:public-info-viewer", "system:service-account-issuer-discovery",
})  # fmt: skip
"""What everyone may do who can log in: it says nothing about a token."""
_MAX_RULES = 10_000  # of one user, from files that someone else wrote


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks: the name of a user, and the groups that the API server puts it in."""

    user: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule that a subject has. namespace: where; None: everywhere. through: the binding and role that give it."""

    verbs: tuple[str, ...]
    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...]
    urls: tuple[str, ...]
    namespace: str | None
    through: str

    def reaches(self, verb: str, group: str, resource: str) -> bool:
        """Whether it lets one do this to objects of a resource (`pods/exec`); if it has names, to those alone."""
        _, slash, inner = resource.partition("/")
        wanted = {resource, "*"} | ({f"*/{inner}"} if slash else set())
        return (
            bool({verb, "*"} & set(self.verbs))
            and bool({group, "*"} & set(self.api_groups))
            and bool(wanted & set(self.resources))
        )

    @property
    def everything(self) -> bool:
        """Whether it is `*` on `*` of `*`."""
        return all("*" in part for part in (self.verbs, self.api_groups, self.resources)) and not self.names

    def words(self) -> str:
        """`get, list secrets, pods.apps/status (only a, b)`; without where."""
        if not self.resources:
            return f"{', '.join(self.verbs)} {', '.join(self.urls)}"
        groups = {group for group in self.api_groups if group}
        suffix = f" of {', '.join(sorted(groups))}" if groups else ""
        only = f" (only {', '.join(self.names)})" if self.names else ""
        return f"{', '.join(self.verbs)} {', '.join(self.resources)}{suffix}{only}"


def service_account(namespace: str, name: str) -> Subject:
    """The user that a service account's token is (pkg/serviceaccount/util.go)."""
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"}
    return Subject(f"system:serviceaccount:{namespace}:{name}", frozenset(groups))


def certificate_user(name: str, organizations: Iterable[str]) -> Subject:
    """The user that a client certificate is: its common name, its organizations as groups."""
    return Subject(name, frozenset({*organizations, "system:authenticated"}))


def known(objects: Objects) -> bool:
    """Whether the API's view has RBAC in it: there is no cluster without a ClusterRoleBinding."""
    return any(kind == "ClusterRoleBinding" for kind, _, _ in objects)


def grants_of(objects: Objects, subject: Subject) -> list[Grant]:
    """Every rule that a subject has by roles and bindings, what everyone has left out."""
    grants: list[Grant] = []
    for (kind, namespace, name), binding in sorted(objects.items(), key=lambda entry: entry[0]):
        if kind not in ("ClusterRoleBinding", "RoleBinding") or not _names(binding, subject, namespace):
            continue
        ref = _mapping(binding.get("roleRef"))
        role_kind, role = _text(ref.get("kind")), _text(ref.get("name"))
        if role in _DEFAULTS:
            continue
        where = None if kind == "ClusterRoleBinding" else namespace
        through = f"{kind} {f'{namespace}/' if where else ''}{name} of {role_kind} {role}"
        key = (role_kind, namespace if role_kind == "Role" else "", role)
        grants += [_grant(rule, where, through) for rule in _rules(objects, key)]
        if len(grants) > _MAX_RULES:
            break
    return grants


def _names(binding: Mapping[str, Any], subject: Subject, namespace: str) -> bool:
    for each in _list(binding.get("subjects")):
        entry = _mapping(each)
        kind, name = entry.get("kind"), _text(entry.get("name"))
        if kind == "User" and name == subject.user:
            return True
        if kind == "Group" and name in subject.groups:
            return True
        space = _text(entry.get("namespace")) or namespace
        if kind == "ServiceAccount" and subject.user == f"system:serviceaccount:{space}:{name}":
            return True
    return False


def _rules(objects: Objects, key: tuple[str, str, str]) -> Iterator[Mapping[str, Any]]:
    role = objects.get(key, {})
    rules = [_mapping(rule) for rule in _list(role.get("rules"))]
    yield from rules
    if rules or "aggregationRule" not in role:
        return
    selectors = [_mapping(each) for each in _list(_mapping(role["aggregationRule"]).get("clusterRoleSelectors"))]
    for (kind, _, name), other in objects.items():
        labels = _mapping(_mapping(other.get("metadata")).get("labels"))
        if kind == "ClusterRole" and name != key[2] and any(_selects(selector, labels) for selector in selectors):
            yield from (_mapping(rule) for rule in _list(other.get("rules")))


def _selects(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """A LabelSelector; one with nothing in it selects all, as apimachinery has it."""
    if not all(labels.get(name) == value for name, value in _mapping(selector.get("matchLabels")).items()):
        return False
    for each in _list(selector.get("matchExpressions")):
        entry = _mapping(each)
        value, values = labels.get(_text(entry.get("key"))), _list(entry.get("values"))
        holds = {
            "In": value in values, "NotIn": value not in values, "Exists": value is not None,
            "DoesNotExist": value is None,
        }.get(_text(entry.get("operator")), False)  # fmt: skip
        if not holds:
            return False
    return True


def _grant(rule: Mapping[str, Any], namespace: str | None, through: str) -> Grant:
    parts = (rule.get(name) for name in ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"))
    verbs, groups, resources, names, urls = (_texts(part) for part in parts)
    return Grant(verbs, groups, resources, names, urls, namespace, through)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(entry for entry in _list(value) if isinstance(entry, str))
