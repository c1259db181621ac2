"""Taking a live node's RAM: transports, tools, sinks, custody."""
