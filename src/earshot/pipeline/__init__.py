"""The pure flow: decode ▸ dedupe ▸ annotate ▸ match ▸ enrich ▸ window, all over frames."""
