# SPDX-License-Identifier: Apache-2.0
"""Packages are found, not listed; plugins/ is installed as memir.plugins. All else is in pyproject.toml."""

from setuptools import find_namespace_packages, setup

CACHES = ["*__pycache__*"]
setup(
    packages=[
        *find_namespace_packages(include=["memir", "memir.*"], exclude=CACHES),
        *(f"memir.{name}" for name in find_namespace_packages(include=["plugins", "plugins.*"], exclude=CACHES)),
    ],
    package_dir={"memir.plugins": "plugins"},
)
