"""What upstreams send, made into what we write; the only place that knows their JSON.

Nothing here raises for what an upstream sent: an answer comes back as ``Unusable``, and a
row that cannot be used is counted and left out. Numbers, texts and lists are bounded.
"""
