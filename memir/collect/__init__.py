# SPDX-License-Identifier: Apache-2.0
"""A pod collected whole, from the API server and from its node's side: what `memir collect pod` does."""
