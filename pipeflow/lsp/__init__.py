"""The language server: what the schema of pipeline files cannot say, as people type.

Cycles, stages that are not there, ports, types of items; definitions, hovers with signatures,
renaming. Completion is left to the schema: two servers would offer everything twice.
"""
