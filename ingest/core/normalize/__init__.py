"""What upstreams send, made into what we write; the only place that knows their JSON.

Nothing here raises for what an upstream sent: it comes back as ``Unusable``.
"""
