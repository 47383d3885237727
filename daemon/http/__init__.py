"""The session over HTTP: one table of routes, the OpenAPI document made of it, the server."""
