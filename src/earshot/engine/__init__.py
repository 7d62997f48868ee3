"""Drive the flow: collectors into the log, the log through the pipeline into the store."""
