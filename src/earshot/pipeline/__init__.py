"""The pure flow: decode ▸ dedupe ▸ annotate ▸ match ▸ enrich ▸ window, each a function of frames."""
