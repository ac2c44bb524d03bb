"""Downloads of the real archives, in the layout of the embedded world's raw files."""
