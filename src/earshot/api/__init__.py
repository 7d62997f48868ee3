"""The HTTP API and the web app it serves: routes, rights, problems, the live stream."""
