"""Static files as `collectstatic` leaves them: named by what is in them, and compressed."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):
    """A module is loaded under one name, whoever imports it: under two it would run twice, and a
    page would open two streams."""

    support_js_module_import_aggregation = True
