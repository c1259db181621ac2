# SPDX-License-Identifier: Apache-2.0
"""Taking a live node's RAM: transports, tools, sinks, custody."""
