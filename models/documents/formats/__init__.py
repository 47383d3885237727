"""One reader a format: bytes of a document to its tree. They run behind walls (`frazil.actors.document_reader`)."""
