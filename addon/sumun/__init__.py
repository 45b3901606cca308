"""Sumun: a network egress filter for generative-AI services, one policy for DNS and proxy."""

__version__ = "0.1.0"
