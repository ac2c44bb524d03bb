"""Writers of the raw formats and public layouts that the embedded world is delivered in."""
