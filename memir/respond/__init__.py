# SPDX-License-Identifier: Apache-2.0
"""The response as a plan that a person reads, runs, resumes and undoes."""
