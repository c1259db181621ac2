# SPDX-License-Identifier: Apache-2.0
"""policy.py > policy.cil: a small SELinux policy of containers' types and categories.

`secilc -c 33 -o policy -f /dev/null policy.cil` makes of it what a kernel loads.
"""

from __future__ import annotations

TYPES = ("kernel_t", "unlabeled_t", "container_runtime_t", "container_t", "spc_t")


def main() -> None:
    """Print the policy: every access is allowed where it is unknown, and the guest is permissive."""
    names = " ".join(f"c{number}" for number in range(1024))
    lines = ["(handleunknown allow)", "(mls true)", "(class process (transition dyntransition setcurrent))"]
    lines += ["(classorder (process))", "(sid kernel)", "(sid security)", "(sid unlabeled)"]
    lines += ["(sidorder (kernel security unlabeled))", "(sensitivity s0)", "(sensitivityorder (s0))"]
    lines += [f"(category c{number})" for number in range(1024)] + [f"(categoryorder ({names}))"]
    lines += ["(sensitivitycategory s0 (range c0 c1023))", "(role system_r)", "(role object_r)", "(user system_u)"]
    lines += ["(userrole system_u system_r)", "(userrole system_u object_r)", "(userlevel system_u (s0))"]
    lines += ["(userrange system_u ((s0) (s0 (range c0 c1023))))"]
    lines += [f"(type {name})\n(roletype system_r {name})\n(roletype object_r {name})" for name in TYPES]
    lines += ["(allow kernel_t self (process (transition dyntransition setcurrent)))"]
    lines += [f"(sidcontext {sid} (system_u system_r {name} ((s0) (s0))))" for sid, name in
              (("kernel", "kernel_t"), ("security", "kernel_t"), ("unlabeled", "unlabeled_t"))]  # fmt: skip
    print("\n".join(lines))


if __name__ == "__main__":
    main()
