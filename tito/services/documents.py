"""Small versioned documents of a project, JSON with a schema: read as a whole or kept aside, and written as a whole."""

import json

from tito.services.files import backup


def read(path, schema, parse, backups):
    """(parse(document), None); (None, None) where there is no file; (None, its copy) where nobody can read it.

    parse: raises ValueError, KeyError, TypeError or AttributeError for a document that is not in order. A file that
    cannot be read is moved into the folder `backups`, so that the next one starts anew.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != schema:
            raise ValueError(f"schema {document['schema']!r}")
        return parse(document), None
    except FileNotFoundError:
        return None, None
    except (ValueError, KeyError, TypeError, AttributeError):
        kept = backup(path, backups)
        path.unlink()
        return None, kept


def text(schema, **content):
    """The text of a document."""
    return json.dumps({"schema": schema, **content}, indent=2, ensure_ascii=False) + "\n"
