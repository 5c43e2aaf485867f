"""The HTTP side of the local AWS: the server, the WSGI application in front of every service, AWS JSON, faults."""
