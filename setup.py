# SPDX-License-Identifier: Apache-2.0
"""Packages are found, not listed; plugins/ is installed as memir.plugins. All else is in pyproject.toml."""

from setuptools import find_namespace_packages, setup

LEFT_OUT = ["*__pycache__*", "*node_modules*", "memir.report.web.src"]
setup(
    packages=[
        *find_namespace_packages(include=["memir", "memir.*"], exclude=LEFT_OUT),
        *(f"memir.{name}" for name in find_namespace_packages(include=["plugins", "plugins.*"], exclude=LEFT_OUT)),
    ],
    package_dir={"memir.plugins": "plugins"},
)
