"""What the edge serves about itself, made from the models: OpenAPI and AsyncAPI."""
