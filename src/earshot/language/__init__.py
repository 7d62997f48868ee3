"""Text analysis, pure: the room that fills the pipeline's enrich slot. Nothing is in it yet."""
