"""The routes, a module by what their paths begin with: JSON in, JSON out.

docs/tasks/serve.md shows them by example, and /openapi.json tells them in full.
"""
