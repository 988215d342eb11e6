"""Adapters of the store protocol, one folder each. Nothing here knows another adapter."""
