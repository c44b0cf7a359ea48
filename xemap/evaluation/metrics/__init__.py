"""Metrics that mmengine evaluates."""
