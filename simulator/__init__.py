"""The other end of the wire: simulated terminals, for tests, demonstrations and audits.

Imports `protocol` and nothing else of this program: it must know a gateway only by its bytes.
"""
