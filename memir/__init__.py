"""memir: memory incident response for Kubernetes nodes."""

__version__ = "0.1.0"
